package verbs

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// poller waits for events of a library's descriptor in Go's poller, so that no thread is held. For one waiting goroutine at a time.
type poller struct {
	file *os.File // a duplicate: the library closes its own
	raw  syscall.RawConn
	try  func(uintptr) bool
	err  error // of the last try
	busy sync.Mutex
	over atomic.Bool
}

// newPoller makes fd non-blocking. take takes one event off it, or fails with the bare EAGAIN where there is
// none.
func newPoller(fd int, name string, take func() error) (*poller, error) {
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	p := &poller{file: os.NewFile(uintptr(dup), name)}
	if p.raw, err = p.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, p.file.Close())
	}
	p.try = func(uintptr) bool {
		for {
			if p.err = take(); !errors.Is(p.err, syscall.EINTR) {
				return !errors.Is(p.err, syscall.EAGAIN)
			}
		}
	}
	return p, nil
}

// wait takes one event. It fails with ErrClosed after close, and with os.ErrDeadlineExceeded.
func (p *poller) wait() error {
	p.busy.Lock()
	defer p.busy.Unlock()
	err := p.raw.Read(p.try)
	switch {
	case err == nil:
		return p.err
	case p.over.Load():
		return ErrClosed
	}
	return err
}

// setDeadline bounds waits, also one under way; the zero time: no bound. It fails with ErrClosed after close.
func (p *poller) setDeadline(t time.Time) error {
	err := p.file.SetReadDeadline(t)
	if p.over.Load() {
		return ErrClosed
	}
	return err
}

// close ends a wait under way and returns when it has: the library's descriptor may go then.
func (p *poller) close() error {
	var err error
	if !p.over.Swap(true) {
		err = p.file.Close()
	}
	p.busy.Lock() // until who waits has left
	defer p.busy.Unlock()
	return err
}
