package transporttest

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weft/shuffle"
)

// Source serves blocks that tests put into it: half of them out of one file, half out of memory. It counts what is held open.
type Source struct {
	t    testing.TB
	File *os.File // the file of AddFile

	open atomic.Int64

	mu     sync.Mutex
	end    int64
	blocks map[shuffle.BlockID]block
	apps   map[string]shuffle.App
	gate   chan struct{}
	fail   error
	bare   bool
}

type block struct {
	data   []byte
	length int64
	sum    uint32
	file   bool
	offset int64
	err    *shuffle.BlockError
}

// NewSource returns a source without blocks. Its file lives as long as the test, which fails if a block is still held open at its end.
func NewSource(t testing.TB) *Source {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "data"))
	if err != nil {
		t.Fatal(err)
	}
	s := &Source{t: t, File: f, blocks: make(map[shuffle.BlockID]block), apps: make(map[string]shuffle.App)}
	t.Cleanup(func() {
		_ = f.Close()
		for end := time.Now().Add(patience); s.open.Load() != 0; time.Sleep(time.Millisecond) { // a fetch that has ended gives its blocks back in its own time
			if time.Now().After(end) {
				t.Errorf("%d blocks are still held open", s.open.Load())
				return
			}
		}
	})
	return s
}

// ID is the nth block's id.
func ID(n int) shuffle.BlockID {
	return shuffle.BlockID{Shuffle: 1, Map: uint64(n), ReduceStart: 7, ReduceEnd: 8}
}

// Bytes are n bytes that depend on seed.
func Bytes(seed, n int) []byte {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(uint64(seed), 42)) //nolint:gosec // test data
	for i := 0; i < n; i += 8 {
		v := rng.Uint64()
		for j := i; j < min(i+8, n); j++ {
			b[j] = byte(v)
			v >>= 8
		}
	}
	return b
}

// Add adds blocks ID(0), ID(1) ... of the given lengths, turn by turn in the file and in memory, and returns their ids and their bytes.
func (s *Source) Add(lengths ...int) (ids []shuffle.BlockID, data [][]byte) {
	s.t.Helper()
	for i, n := range lengths {
		b := Bytes(i+1, n)
		if i%2 == 0 {
			s.AddFile(ID(i), b)
		} else {
			s.AddMem(ID(i), b)
		}
		ids, data = append(ids, ID(i)), append(data, b)
	}
	return ids, data
}

// AddFile appends a block to the file.
func (s *Source) AddFile(id shuffle.BlockID, data []byte) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.File.WriteAt(data, s.end); err != nil {
		s.t.Fatal(err)
	}
	s.blocks[id] = block{length: int64(len(data)), sum: shuffle.Checksum(data), file: true, offset: s.end}
	s.end += int64(len(data))
}

// AddHole appends a block of zeroes that takes no space on the disk, with the given checksum.
func (s *Source) AddHole(id shuffle.BlockID, length int64, sum uint32) {
	s.t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.File.Truncate(s.end + length); err != nil {
		s.t.Fatal(err)
	}
	s.blocks[id] = block{length: length, sum: sum, file: true, offset: s.end}
	s.end += length
}

// AddMem adds a block that lies in memory.
func (s *Source) AddMem(id shuffle.BlockID, data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks[id] = block{data: data, length: int64(len(data)), sum: shuffle.Checksum(data)}
}

// AddError adds a block that fails.
func (s *Source) AddError(id shuffle.BlockID, err *shuffle.BlockError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks[id] = block{err: err}
}

// Uncheck leaves out checksums from now on.
func (s *Source) Uncheck() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.bare = true
}

// Fail makes every Locate fail as a whole.
func (s *Source) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// Stop makes every Locate wait for its context's end, or until the returned function is called.
func (s *Source) Stop() (resume func()) {
	gate := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = gate
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.gate = nil
		close(gate)
	})
}

// Admit makes applications known, with the tokens that open their blocks. Any other has a token of zeros.
func (s *Source) Admit(apps ...shuffle.App) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, app := range apps {
		s.apps[app.ID] = app
	}
}

// GoneApp is the id of an application that is not known.
const GoneApp = "gone"

// App implements shuffle.Source.
func (s *Source) App(id string) (shuffle.App, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if id == GoneApp {
		return shuffle.App{}, shuffle.Errorf(shuffle.ReasonOwnerGone, "no application %s", id)
	}
	if app, ok := s.apps[id]; ok {
		return app, nil
	}
	return shuffle.App{ID: id}, nil
}

// Open is how many blocks are held open.
func (s *Source) Open() int { return int(s.open.Load()) }

// Ask implements shuffle.Source, for every request for one block: with the answer before it returns, or after Stop later.
func (s *Source) Ask(ctx context.Context, req *shuffle.LocateRequest, done func([]shuffle.Found)) bool {
	if len(req.Blocks) != 1 {
		return false
	}
	s.mu.Lock()
	stopped := s.gate != nil
	s.mu.Unlock()
	answer := func() {
		found, err := s.Locate(ctx, req)
		if err != nil {
			found = []shuffle.Found{{Err: shuffle.ToBlockError(err)}}
		}
		done(found)
	}
	if stopped {
		go answer()
	} else {
		answer()
	}
	return true
}

// Locate implements shuffle.Source.
func (s *Source) Locate(ctx context.Context, req *shuffle.LocateRequest) ([]shuffle.Found, error) {
	s.mu.Lock()
	gate, fail := s.gate, s.fail
	s.mu.Unlock()
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if fail != nil {
		return nil, fail
	}
	if app, err := s.App(req.App.ID); err != nil || app != req.App {
		return nil, shuffle.Errorf(shuffle.ReasonPeerRefused, "application %s is not known by this token (%v)", req.App, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	found := make([]shuffle.Found, len(req.Blocks))
	for i, id := range req.Blocks {
		b, ok := s.blocks[id]
		f := &found[i]
		switch {
		case !ok:
			f.Err = shuffle.Errorf(shuffle.ReasonNotFound, "%s", id)
		case b.err != nil:
			f.Err = b.err
		default:
			*f = shuffle.Found{Length: b.length, CRC: b.sum, Checked: !s.bare, Offset: b.offset, Mem: b.data}
			if b.file {
				f.File = s.File
			}
			s.open.Add(1)
			var closed atomic.Bool
			f.Close = func() {
				if closed.Swap(true) {
					panic("a block was closed twice")
				}
				s.open.Add(-1)
			}
		}
	}
	return found, nil
}
