//go:build rdma

package rdma

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weft/verbs"
	"weft/verbs/verbstest"
)

const filePiece = 2 << 20

// dataFile makes a file of n bytes and opens it for reading.
func dataFile(t *testing.T, n int) (*os.File, []byte) {
	t.Helper()
	data := make([]byte, n)
	rng := rand.NewPCG(5, uint64(n))
	for i := range data {
		data[i] = byte(rng.Uint64())
	}
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verbstest.Close(t, f) })
	return f, data
}

func newFiles(t *testing.T, e *ends, most int64) *Files {
	t.Helper()
	files := NewFiles(filePiece, most, MapAuto)
	t.Cleanup(func() { verbstest.Close(t, files) })
	return files
}

func pin(t *testing.T, e *ends, files *Files, f *os.File, off, n int64) *Pinned {
	t.Helper()
	p, err := files.Pin(e.owner, f, off, n)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// fetch reads all parts over the connection.
func (e *ends) fetch(t *testing.T, c *Conn, parts []Part) []byte {
	t.Helper()
	ended := make(chan error, len(parts))
	var reads []Read
	at := 0
	for _, p := range parts {
		reads = append(reads, Read{Local: e.here.SGE(at, int(p.Len)), Remote: p.Remote, Done: func(err error) { ended <- err }})
		at += int(p.Len)
	}
	c.Read(reads...)
	for range parts {
		if err := result(t, ended); err != nil {
			t.Fatal(err)
		}
	}
	return e.target[:at]
}

func TestFilesAreReadWhereTheyLie(t *testing.T) {
	e := newEnds(t, 8<<20, Options{})
	c := e.dial(t)
	files := newFiles(t, e, 64<<20)
	f, data := dataFile(t, 3*filePiece+1234)
	for _, r := range [][2]int64{{0, 1}, {100, 5000}, {filePiece - 1, 2}, {0, int64(len(data))}, {3 * filePiece, 1234}, {filePiece, filePiece}} {
		p := pin(t, e, files, f, r[0], r[1])
		if !bytes.Equal(e.fetch(t, c, p.Parts), data[r[0]:r[0]+r[1]]) {
			t.Errorf("bytes [%d, +%d) differ", r[0], r[1])
		}
		p.Release()
	}
	if n := files.Registered(); n != int64(len(data)) {
		t.Errorf("%d bytes are registered, want each of the file's once: %d", n, len(data))
	}
	for name, r := range map[string][2]int64{"beyond the end": {int64(len(data)) - 1, 2}, "nothing": {0, 0}, "before the start": {-1, 2}, "overflow": {1<<63 - 1, 2}} {
		if _, err := files.Pin(e.owner, f, r[0], r[1]); err == nil || !strings.Contains(err.Error(), f.Name()) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What is not in use makes room, the longest unused first; its keys are good for nothing then. What is in use stays.
func TestOldPiecesMakeRoom(t *testing.T) {
	e := newEnds(t, 8<<20, Options{})
	files := newFiles(t, e, 2*filePiece)
	f, data := dataFile(t, 3*filePiece)
	first, second := pin(t, e, files, f, 0, 10), pin(t, e, files, f, filePiece, 10)
	if _, err := files.Pin(e.owner, f, 2*filePiece, 10); !errors.Is(err, ErrNoRoom) {
		t.Errorf("a third piece with two in use: %v", err)
	}
	second.Release()
	first.Release()
	first = pin(t, e, files, f, 0, 10) // as it was: it is used again before its room was needed
	first.Release()
	again := pin(t, e, files, f, filePiece, 10)
	again.Release()
	third := pin(t, e, files, f, 2*filePiece, 10)
	defer third.Release()
	if n := files.Registered(); n != 2*filePiece {
		t.Errorf("%d bytes are registered", n)
	}
	if c := e.dial(t); !bytes.Equal(e.fetch(t, c, again.Parts), data[filePiece:filePiece+10]) {
		t.Error("the piece used last does not have its bytes")
	}
	ended := make(chan error, 1)
	e.dial(t).Read(Read{Local: e.here.SGE(0, 10), Remote: first.Parts[0].Remote, Done: func(err error) { ended <- err }})
	if err := result(t, ended); !errors.Is(err, verbs.WCRemAccessErr) {
		t.Errorf("the piece whose room was taken: %v", err)
	}
}

// A file that is closed, as those of a shuffle that ended are, takes its keys with it. What is in use stays until it is given back and the file is closed.
func TestKeysEndWithTheirFile(t *testing.T) {
	e := newEnds(t, 4096, Options{})
	files := newFiles(t, e, 4*filePiece)
	f, data := dataFile(t, 2*filePiece)
	other, otherData := dataFile(t, filePiece)
	ended, used, stays := pin(t, e, files, f, 0, 10), pin(t, e, files, f, filePiece, 10), pin(t, e, files, other, 0, 10)
	key := ended.Parts[0].Remote
	ended.Release()
	stays.Release()
	files.Forget(f)
	if n := files.Registered(); n != 2*filePiece {
		t.Errorf("%d bytes are registered, want those in use and those of the other file", n)
	}
	c := e.dial(t)
	if !bytes.Equal(e.fetch(t, c, used.Parts), data[filePiece:filePiece+10]) || !bytes.Equal(e.fetch(t, c, stays.Parts), otherData[:10]) {
		t.Error("what is registered still does not have its bytes")
	}
	outcome := make(chan error, 1)
	c.Read(Read{Local: e.here.SGE(0, 10), Remote: key, Done: func(err error) { outcome <- err }})
	if err := result(t, outcome); !errors.Is(err, verbs.WCRemAccessErr) {
		t.Errorf("by a key of the file that was closed: %v", err)
	}
	used.Release()
	files.Forget(f)
	if n := files.Registered(); n != filePiece {
		t.Errorf("%d bytes are registered, want those of the other file", n)
	}
}

// A piece that was just used is left alone: what comes then finds no room.
func TestPiecesRest(t *testing.T) {
	e := newEnds(t, 4096, Options{})
	files := newFiles(t, e, filePiece)
	files.Rest = time.Hour
	f, _ := dataFile(t, 2*filePiece)
	pin(t, e, files, f, 0, 10).Release()
	if _, err := files.Pin(e.owner, f, filePiece, 10); !errors.Is(err, ErrNoRoom) {
		t.Errorf("a second piece: %v", err)
	}
	pin(t, e, files, f, 20, 10).Release() // the first is there still
	files.Rest = 0
	pin(t, e, files, f, filePiece, 10).Release()
}

// A file that is truncated or removed while it is registered hurts nobody: the pages that were registered stay.
func TestTruncatedWhileRegistered(t *testing.T) {
	e := newEnds(t, 8<<20, Options{})
	files := newFiles(t, e, 64<<20)
	f, data := dataFile(t, filePiece)
	p := pin(t, e, files, f, 0, filePiece)
	defer p.Release()
	if err := os.Truncate(f.Name(), 0); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(e.fetch(t, e.dial(t), p.Parts), data) {
		t.Error("other bytes than when it was registered")
	}
	if _, err := files.Pin(e.owner, f, 0, 1); err == nil {
		t.Error("a byte of an empty file was pinned")
	}
}

func TestFilesThatCannotBeRegistered(t *testing.T) {
	e := newEnds(t, 4096, Options{})
	files := newFiles(t, e, 64<<20)
	f, _ := dataFile(t, 4096)
	sealed, err := unix.MemfdCreate("sealed", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		t.Fatal(err)
	}
	memfd := os.NewFile(uintptr(sealed), "sealed")
	defer verbstest.Close(t, memfd)
	if _, err := memfd.Write(make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(memfd.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE); err != nil {
		t.Fatal(err)
	}
	if _, err := files.Pin(e.owner, memfd, 0, 4096); err == nil || !strings.Contains(err.Error(), "mapping it for writing") {
		t.Errorf("a file that nobody may write: %v", err)
	}
	dir, err := os.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer verbstest.Close(t, dir)
	if _, err := files.Pin(e.owner, dir, 0, 1); err == nil {
		t.Error("a directory was pinned")
	}
	for _, access := range []Mapping{MapNone, MapRead} {
		some := NewFiles(filePiece, 64<<20, access)
		p, err := some.Pin(e.owner, f, 0, 4096)
		switch {
		case access == MapNone && !errors.Is(err, ErrNoMapping):
			t.Errorf("files are not to be mapped: %v", err)
		case err == nil: // as kernels newer than 6.1 do
			p.Release()
		case access == MapRead && !errors.Is(err, unix.EFAULT):
			t.Errorf("a mapping for reading: %v", err)
		}
		verbstest.Close(t, some)
	}
	if n := files.Registered(); n != 0 {
		t.Errorf("%d bytes count as registered", n)
	}
	pin(t, e, files, f, 0, 4096).Release() // others are not disturbed
}

// Goroutines that pin ranges of a few files, with room for a part of them: each piece is registered once at a time, and the limit holds.
func TestManyPinAtOnce(t *testing.T) {
	e := newEnds(t, 4096, Options{})
	const most = 3 * filePiece
	files := newFiles(t, e, most)
	a, _ := dataFile(t, 3*filePiece)
	b, _ := dataFile(t, 2*filePiece+100)
	var wg sync.WaitGroup
	var pinned, refused atomic.Int32
	for g := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(g), 1))
			for range 200 {
				f, size := a, int64(3*filePiece)
				if rng.IntN(2) == 0 {
					f, size = b, 2*filePiece+100
				}
				off := rng.Int64N(size)
				p, err := files.Pin(e.owner, f, off, 1+rng.Int64N(min(filePiece, size-off)))
				switch {
				case errors.Is(err, ErrNoRoom):
					refused.Add(1)
				case err != nil:
					t.Error(err)
				default:
					pinned.Add(1)
					if n := files.Registered(); n > most {
						t.Errorf("%d bytes are registered", n)
					}
					p.Release()
				}
			}
		})
	}
	wg.Wait()
	if pinned.Load() == 0 {
		t.Error("nothing was pinned")
	}
	t.Logf("%d pinned, %d refused", pinned.Load(), refused.Load())
}
