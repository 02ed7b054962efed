package rdma

import (
	"container/list"
	"errors"
	"fmt"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"weft/verbs"
)

// ErrNoRoom says that everything that may be registered is, and in use. Blocks go another way then.
var ErrNoRoom = errors.New("rdma: no more memory may be registered")

// Files makes parts of files readable for the peers of a domain: it maps them and registers the mapping, a piece at a time, and keeps pieces that are not used
// until others need their room. The processor touches no mapping: a load from one whose file was truncated would end the process. Its methods
// may be called from many goroutines.
type Files struct {
	pd    *verbs.PD
	piece int64
	max   int64

	mu     sync.Mutex
	pieces map[pieceKey]*piece
	idle   list.List // of *piece that nobody uses, the longest first
	bytes  int64     // registered
	unused int64     // of them, those of idle pieces
	failed error     // of closing pieces, for Close to tell
}

// pieceKey is a piece of a file, whatever it is called. A file that takes the inode of a removed one is another: the mapping keeps the old one
// alive, so the number is not given away.
type pieceKey struct {
	dev, inode uint64
	number     int64
}

type piece struct {
	key   pieceKey
	users int
	idle  *list.Element
	ready chan struct{} // closed when mem and mr, or err, are there
	mem   []byte
	mr    *verbs.MR
	err   error
}

// NewFiles keeps at most limit bytes registered, in pieces of pieceLen, a multiple of 2 MiB.
func NewFiles(pd *verbs.PD, pieceLen, limit int64) *Files {
	return &Files{pd: pd, piece: pieceLen, max: limit, pieces: map[pieceKey]*piece{}}
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

// Pin makes bytes [off, off+n) of a regular file readable, which this process must be allowed to write: 6.1 and older kernels register no mapping
// that is for reading alone. It fails with ErrNoRoom, or where the file is shorter or the kernel does not register it.
func (f *Files) Pin(file *os.File, off, n int64) (*Pinned, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.Mode().IsRegular() || off < 0 || n <= 0 || off > st.Size-n {
		return nil, fmt.Errorf("%s: bytes [%d, %d) of %v, %d bytes long", file.Name(), off, off+n, info.Mode().Type(), info.Size())
	}
	p := &Pinned{files: f}
	for end := off + n; off < end; {
		number := off / f.piece
		from := off - number*f.piece
		use, err := f.use(file, pieceKey{st.Dev, st.Ino, number}, st.Size)
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
		if p.users++; p.idle != nil {
			f.idle.Remove(p.idle)
			p.idle = nil
			f.unused -= int64(len(p.mem))
		}
		f.mu.Unlock()
		<-p.ready
		if p.err != nil {
			f.drop(p)
			return nil, p.err
		}
		return p, nil
	}
	gone, ok := f.makeRoom(length)
	if ok {
		p = &piece{key: key, users: 1, ready: make(chan struct{})}
		f.pieces[key] = p
	}
	f.mu.Unlock()
	if err := closeAll(gone); err != nil {
		f.lost(err)
	}
	if !ok {
		return nil, ErrNoRoom
	}
	if p.err = p.register(f.pd, file, f.piece, length); p.err != nil {
		f.mu.Lock()
		delete(f.pieces, key)
		f.bytes -= length
		f.mu.Unlock()
	}
	close(p.ready)
	return p, p.err
}

// makeRoom takes idle pieces off until n bytes fit, and counts these. mu is held; the pieces are to be closed without it.
func (f *Files) makeRoom(n int64) (gone []*piece, ok bool) {
	if f.bytes-f.unused+n > f.max {
		return nil, false
	}
	for f.bytes+n > f.max {
		oldest := f.idle.Front()
		p := f.idle.Remove(oldest).(*piece) //nolint:forcetypeassert // it holds nothing else
		delete(f.pieces, p.key)
		f.bytes -= int64(len(p.mem))
		f.unused -= int64(len(p.mem))
		gone = append(gone, p)
	}
	f.bytes += n
	return gone, true
}

func (p *piece) register(pd *verbs.PD, file *os.File, size, length int64) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	closed := raw.Control(func(fd uintptr) {
		// Another open file, since the caller's may be for reading alone.
		var writable int
		if writable, err = unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDWR|unix.O_CLOEXEC, 0); err == nil {
			p.mem, err = unix.Mmap(writable, p.key.number*size, int(length), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
			_ = unix.Close(writable)
		}
	})
	if err = errors.Join(closed, err); err != nil {
		return fmt.Errorf("%s: mapping it for writing, as registering wants it: %w", file.Name(), err)
	}
	if p.mr, err = pd.RegMR(p.mem, verbs.RemoteRead); err != nil {
		return errors.Join(fmt.Errorf("%s: %w", file.Name(), err), unix.Munmap(p.mem))
	}
	return nil
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
		p.idle = f.idle.PushBack(p)
		f.unused += int64(len(p.mem))
	}
}

// lost notes that a piece could not be given back.
func (f *Files) lost(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.failed = errors.Join(f.failed, err)
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
	f.bytes, f.unused = 0, 0
	err := f.failed
	f.mu.Unlock()
	if left > 0 {
		err = errors.Join(err, fmt.Errorf("rdma: %d pieces of files are in use still", left))
	}
	return errors.Join(err, closeAll(all))
}

// closeAll ends registrations, then mappings; a mapping that the device has still stays.
func closeAll(pieces []*piece) error {
	var errs []error
	for _, p := range pieces {
		err := p.mr.Close()
		if err == nil {
			err = unix.Munmap(p.mem)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
