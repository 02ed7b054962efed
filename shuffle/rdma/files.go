package rdma

import (
	"container/list"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"weft/verbs"
)

// ErrNoRoom says that everything that may be registered is, and in use. Blocks go another way then.
var ErrNoRoom = errors.New("rdma: no more memory may be registered (weft.memory.registered.max)")

// Files makes parts of files readable for the peers of domains: it maps them and registers the mapping, a piece at a time, and keeps pieces that are not used
// until others need their room, or until Forget. The processor touches no mapping: a load from one whose file was truncated would end the process. Its
// methods may be called from many goroutines.
type Files struct {
	piece  int64
	max    int64
	access Mapping

	// Rest is how long a piece is left alone after its last use: where more is asked for than there is room, registering the one and giving up the other in turns
	// would cost more than TCP. Set before use.
	Rest time.Duration
	// Share is what one domain may have in use, in percent of what the others leave; 0: all. Set before use.
	Share int
	// Bytes, unless nil, is told how many bytes more are registered; set before use.
	Bytes func(float64)

	writable atomic.Bool // mappings have to be

	mu     sync.Mutex
	pieces map[pieceKey]*piece
	of     map[fileID]map[*piece]struct{} // the same, by file
	idle   list.List                      // of *piece that nobody uses, the longest first
	bytes  int64                          // registered
	unused int64                          // of them, those of idle pieces
	busy   map[*verbs.PD]int64            // the others, by domain
	failed error                          // of closing pieces, for Close to tell

	leaving int // pieces taken off and not closed yet
	left    sync.Cond
}

// fileID is a file, whatever it is called. A file that takes the inode of a removed one is another: a mapping keeps the old one alive, so the number is not
// given away.
type fileID struct{ dev, inode uint64 }

func identify(file *os.File) (fileID, os.FileInfo, error) {
	info, err := file.Stat()
	if err != nil {
		return fileID{}, nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() {
		return fileID{}, nil, fmt.Errorf("%s: not a regular file", file.Name())
	}
	return fileID{st.Dev, st.Ino}, info, nil
}

// pieceKey is a piece of a file, for one domain.
type pieceKey struct {
	pd     *verbs.PD
	file   fileID
	number int64
}

type piece struct {
	key   pieceKey
	users int
	idle  *list.Element
	since time.Time     // it is idle
	ready chan struct{} // closed when mem and mr, or err, are there
	mem   []byte
	mr    *verbs.MR
	err   error
}

// NewFiles keeps at most limit bytes registered, in pieces of pieceLen, a multiple of 2 MiB.
func NewFiles(pieceLen, limit int64, access Mapping) *Files {
	f := &Files{piece: pieceLen, max: limit, access: access, pieces: map[pieceKey]*piece{}, busy: map[*verbs.PD]int64{}, of: map[fileID]map[*piece]struct{}{}}
	f.left.L = &f.mu
	return f
}

// Part is a part of a range of a file, as a peer may read it.
type Part struct {
	Remote verbs.Remote
	Len    int64
}

// Pinned is a range that peers may read until Release.
type Pinned struct {
	Parts []Part
	files *Files
	used  []*piece
}

// Pin makes bytes [off, off+n) of a regular file readable in the domain. It fails with ErrNoRoom, or where the file is shorter or the kernel does not
// register it.
func (f *Files) Pin(pd *verbs.PD, file *os.File, off, n int64) (*Pinned, error) {
	id, info, err := identify(file)
	if err != nil {
		return nil, err
	}
	if off < 0 || n <= 0 || off > info.Size()-n {
		return nil, fmt.Errorf("%s: bytes [%d, %d) of %d", file.Name(), off, off+n, info.Size())
	}
	p := &Pinned{files: f}
	for end := off + n; off < end; {
		number := off / f.piece
		from := off - number*f.piece
		use, err := f.use(file, pieceKey{pd, id, number}, info.Size())
		if err != nil {
			p.Release()
			return nil, err
		}
		p.used = append(p.used, use)
		part := min(end-off, int64(use.mr.Len())-from)
		if part <= 0 {
			p.Release()
			return nil, fmt.Errorf("%s: it grew since it was registered", file.Name())
		}
		p.Parts = append(p.Parts, Part{use.mr.Remote(int(from)), part})
		off += part
	}
	return p, nil
}

// use is a piece with one more user. Only one goroutine registers it.
func (f *Files) use(file *os.File, key pieceKey, size int64) (*piece, error) {
	length := min(f.piece, size-key.number*f.piece)
	f.mu.Lock()
	p := f.pieces[key]
	if p != nil {
		if p.idle != nil {
			if !f.mayUse(key.pd, int64(len(p.mem))) {
				f.mu.Unlock()
				return nil, ErrNoRoom
			}
			f.idle.Remove(p.idle)
			p.idle = nil
			f.unused -= int64(len(p.mem))
			f.occupy(key.pd, int64(len(p.mem)))
		}
		p.users++
		f.mu.Unlock()
		<-p.ready
		if p.err != nil {
			f.drop(p)
			return nil, p.err
		}
		return p, nil
	}
	gone, ok := []*piece(nil), f.mayUse(key.pd, length)
	if ok {
		gone, ok = f.makeRoom(length)
	}
	if ok {
		f.occupy(key.pd, length)
		p = &piece{key: key, users: 1, ready: make(chan struct{})}
		f.add(p)
	}
	f.mu.Unlock()
	f.discard(gone)
	if !ok {
		return nil, ErrNoRoom
	}
	if p.err = f.register(p, file, length); p.err != nil {
		f.mu.Lock()
		f.remove(p)
		f.count(-length)
		f.occupy(key.pd, -length)
		f.mu.Unlock()
	}
	close(p.ready)
	return p, p.err
}

// mayUse tells whether n bytes more in use would be within the domain's share. mu is held.
func (f *Files) mayUse(pd *verbs.PD, n int64) bool {
	if f.Share == 0 {
		return true
	}
	mine := f.busy[pd]
	others := f.bytes - f.unused - mine
	return mine+n <= (f.max-others)/100*int64(f.Share)
}

// occupy counts bytes that the domain uses. mu is held.
func (f *Files) occupy(pd *verbs.PD, n int64) {
	if f.busy[pd] += n; f.busy[pd] == 0 {
		delete(f.busy, pd)
	}
}

// makeRoom takes idle pieces off until n bytes fit, and counts these. mu is held; the pieces are to be closed without it.
func (f *Files) makeRoom(n int64) (gone []*piece, ok bool) {
	if f.bytes-f.unused+n > f.max {
		return nil, false
	}
	for f.bytes+n > f.max {
		oldest := f.idle.Front()
		p := oldest.Value.(*piece) //nolint:forcetypeassert // it holds nothing else
		if time.Since(p.since) < f.Rest {
			return gone, false
		}
		f.takeOff(p)
		gone = append(gone, p)
	}
	f.count(n)
	return gone, true
}

func (f *Files) count(n int64) {
	f.bytes += n
	if f.Bytes != nil {
		f.Bytes(float64(n))
	}
}

func (f *Files) add(p *piece) {
	f.pieces[p.key] = p
	if f.of[p.key.file] == nil {
		f.of[p.key.file] = map[*piece]struct{}{}
	}
	f.of[p.key.file][p] = struct{}{}
}

func (f *Files) remove(p *piece) {
	delete(f.pieces, p.key)
	delete(f.of[p.key.file], p)
	if len(f.of[p.key.file]) == 0 {
		delete(f.of, p.key.file)
	}
}

// takeOff takes an idle piece out, for discard. mu is held.
func (f *Files) takeOff(p *piece) {
	f.leaving++
	f.idle.Remove(p.idle)
	f.remove(p)
	f.count(-int64(len(p.mem)))
	f.unused -= int64(len(p.mem))
}

// Forget ends the registrations of a file that nobody uses: it is about to be closed, and may have been removed. What is in use stays.
func (f *Files) Forget(file *os.File) {
	id, _, err := identify(file)
	if err != nil {
		return
	}
	f.end(func() (all []*piece) {
		for p := range f.of[id] {
			all = append(all, p)
		}
		return all
	})
}

// Drop ends the registrations in a domain that nobody uses. When it returns, those that are in use are all that there are.
func (f *Files) Drop(pd *verbs.PD) {
	f.end(func() (all []*piece) {
		for key, p := range f.pieces {
			if key.pd == pd {
				all = append(all, p)
			}
		}
		return all
	})
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.leaving > 0 { // others', maybe: it does not take long
		f.left.Wait()
	}
}

// end closes those of the pieces that are idle.
func (f *Files) end(which func() []*piece) {
	var gone []*piece
	f.mu.Lock()
	for _, p := range which() {
		if p.idle != nil {
			f.takeOff(p)
			gone = append(gone, p)
		}
	}
	f.mu.Unlock()
	f.discard(gone)
}

// discard closes pieces that were taken off. That one could not be given back is told by Close.
func (f *Files) discard(gone []*piece) {
	if len(gone) == 0 {
		return
	}
	err := closeAll(gone)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = errors.Join(f.failed, err)
	if f.leaving -= len(gone); f.leaving == 0 {
		f.left.Broadcast()
	}
}

// Release ends the use. Whoever knows the keys may read until the pieces are needed for others.
func (p *Pinned) Release() {
	for _, use := range p.used {
		p.files.drop(use)
	}
	p.used = nil
}

func (f *Files) drop(p *piece) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p.users--; p.users == 0 && p.err == nil {
		p.idle, p.since = f.idle.PushBack(p), time.Now()
		f.unused += int64(len(p.mem))
		f.occupy(p.key.pd, -int64(len(p.mem)))
	}
}

// Registered is how many bytes are.
func (f *Files) Registered() int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.bytes
}

// Close ends the registrations. Nothing is pinned any more.
func (f *Files) Close() error {
	f.mu.Lock()
	var all []*piece
	for e := f.idle.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*piece)) //nolint:forcetypeassert // it holds nothing else
	}
	left := len(f.pieces) - len(all)
	f.idle.Init()
	clear(f.pieces)
	clear(f.of)
	f.count(-f.bytes)
	f.unused = 0
	err := f.failed
	f.mu.Unlock()
	if left > 0 {
		err = errors.Join(err, fmt.Errorf("rdma: %d pieces of files are in use still", left))
	}
	return errors.Join(err, closeAll(all))
}
