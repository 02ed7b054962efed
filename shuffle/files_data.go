package shuffle

import (
	"os"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// dataFile is an open file. While its caller holds a reference it stays open.
type dataFile struct {
	fd    descriptor
	name  fileName
	cache *fileCache
	app   string // whose share it is of

	once sync.Once
	file *os.File // of the same descriptor; nil: nobody outside of this package has had it

	cold       atomic.Int32 // so many requests are not tried to be answered at once: its bytes were not in memory
	key        *mapOutput   // nil: closed at its last release
	refs       int
	prev, next *dataFile // in the ring of idle ones, nil while in use

	unref func() // gives one reference back; one function for all of them, so that a block costs no allocation
}

// fileName is put together where somebody reads it.
type fileName struct{ dir, rel string }

func (n fileName) String() string { return n.dir + "/" + n.rel }

// osFile is the file for a transport. It is made at the first call: whoever reads a block by itself has no use for one, which takes as long as opening the file.
func (f *dataFile) osFile() *os.File {
	f.once.Do(func() {
		// Of the flags that can be changed it has O_NONBLOCK alone, with which an os.File would try to wait by epoll. Where it stays, that fails, and no more.
		_, _ = unix.FcntlInt(uintptr(f.fd), unix.F_SETFL, 0)
		f.file = os.NewFile(uintptr(f.fd), f.name.String())
	})
	return f.file
}

// close closes the file, which nobody uses.
func (f *dataFile) close() {
	if f.file == nil {
		_ = f.fd.Close()
		return
	}
	if f.cache.closing != nil {
		f.cache.closing(f.file)
	}
	_ = f.file.Close()
}

func (f *dataFile) unlink() {
	f.prev.next, f.next.prev = f.next, f.prev
	f.prev, f.next = nil, nil
}

func (f *dataFile) linkBehind(ring *dataFile) {
	f.prev, f.next = ring, ring.next
	f.prev.next, f.next.prev = f, f
}
