package jvmbridge

import (
	"cmp"
	"errors"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"weft/internal/pb/bridgepb"
	"weft/internal/sockio"
	"weft/jvmbridge/shm"
)

// intakeStop is how many bytes may wait for a JVM that does not read before its own frames are left unread too.
const intakeStop = 1 << 20

var errOutboxClosed = errors.New("session ended")

// outbox is what waits to be sent to one JVM. send never blocks: what can wait is bounded by what the session has outstanding, and the
// session takes nothing new while intakeStop bytes wait. Whoever may, and finds that nothing waits, writes as much as the socket takes, so that
// no other goroutine has to be woken; all else one goroutine, in run, writes at once.
type outbox struct {
	frames      *net.UnixConn
	raw         syscall.RawConn // of frames
	descriptors *net.UnixConn   // set by attach

	mu      sync.Mutex
	changed sync.Cond
	waiting []byte
	fds     []int // owned
	writing int   // bytes that run is writing
	closed  bool
	broken  error // a frame could not be made or written
}

func newOutbox(frames *net.UnixConn) *outbox {
	o := &outbox{frames: frames}
	o.raw, o.broken = frames.SyscallConn()
	o.changed.L = &o.mu
	return o
}

// send queues a frame; after close it is dropped. inline allows the caller's goroutine to write it; where others follow soon it is better not
// to, as they are then written together.
func (o *outbox) send(m *bridgepb.ToJvm, inline bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sendLocked(m, inline)
}

// sendInRoom is send of a frame in which lie n bytes that could also stay where they are: false, and it is not sent, where too much waits already.
func (o *outbox) sendInRoom(m *bridgepb.ToJvm, n int, inline bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.waiting)+o.writing+n > intakeStop {
		return false
	}
	o.sendLocked(m, inline)
	return true
}

// sendLocked is send. mu is held.
func (o *outbox) sendLocked(m *bridgepb.ToJvm, inline bool) {
	idle := len(o.waiting) == 0 && len(o.fds) == 0 && o.writing == 0
	if o.queue(m); idle && inline {
		o.writeSome()
	}
	if len(o.waiting) > 0 || o.broken != nil {
		o.changed.Broadcast()
	}
}

// sendSegment queues a frame and the descriptor that belongs to it, which is the outbox's from now on. Descriptors keep the order of
// their frames.
func (o *outbox) sendSegment(m *bridgepb.ToJvm, fd int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		_ = unix.Close(fd)
		return
	}
	o.queue(m)
	o.fds = append(o.fds, fd)
	o.changed.Broadcast()
}

func (o *outbox) queue(m *bridgepb.ToJvm) {
	if o.closed || o.broken != nil {
		return
	}
	o.waiting, o.broken = appendFrame(o.waiting, m)
}

// writeSome writes as much of what waits as the socket takes now. mu is held: nothing is waited for.
func (o *outbox) writeSome() {
	if len(o.waiting) == 0 || o.broken != nil {
		return
	}
	var n int
	var err error
	failed := o.raw.Write(func(fd uintptr) bool {
		for {
			if n, err = sockio.Write(int(fd), o.waiting); !errors.Is(err, unix.EINTR) {
				return true
			}
		}
	})
	if err = cmp.Or(failed, err); err != nil && !errors.Is(err, unix.EAGAIN) {
		o.broken = err
		return
	}
	o.waiting = append(o.waiting[:0], o.waiting[max(n, 0):]...)
	if len(o.waiting) == 0 && cap(o.waiting) > bufferKept {
		o.waiting = nil
	}
}

// waitForRoom blocks while too much waits. It returns at close too.
func (o *outbox) waitForRoom() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for !o.closed && len(o.waiting)+o.writing > intakeStop {
		o.changed.Wait()
	}
}

// attach sets the descriptor socket and queues the answer; false when there is one already or the session has ended.
func (o *outbox) attach(descriptors *net.UnixConn) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.descriptors != nil {
		return false
	}
	o.descriptors = descriptors
	o.queue(&bridgepb.ToJvm{Kind: &bridgepb.ToJvm_Attached{Attached: &bridgepb.Attached{}}})
	o.changed.Broadcast()
	return true
}

func (o *outbox) isAttached() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.descriptors != nil
}

// run writes until close or the first error, which it returns.
func (o *outbox) run() error {
	var spare []byte
	for {
		o.mu.Lock()
		o.writing = 0
		o.changed.Broadcast()
		for len(o.waiting) == 0 && len(o.fds) == 0 && !o.closed && o.broken == nil {
			o.changed.Wait()
		}
		if o.closed || o.broken != nil {
			defer o.mu.Unlock()
			if o.broken != nil {
				return o.broken
			}
			return errOutboxClosed
		}
		bytes, fds := o.waiting, o.fds
		o.waiting, o.fds, o.writing = spare[:0], nil, len(bytes)
		descriptors := o.descriptors
		o.mu.Unlock()

		if err := passAll(descriptors, fds); err != nil {
			return err
		}
		if _, err := o.frames.Write(bytes); err != nil {
			return err
		}
		if spare = bytes; cap(spare) > bufferKept {
			spare = nil
		}
	}
}

// passAll sends the descriptors and closes them in any case.
func passAll(conn *net.UnixConn, fds []int) error {
	var err error
	for _, fd := range fds {
		if err == nil {
			err = shm.SendFD(conn, fd)
		}
		_ = unix.Close(fd)
	}
	return err
}

// close drops what waits and closes the sockets, which ends a write under way.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	_ = o.frames.Close()
	if o.descriptors != nil {
		_ = o.descriptors.Close()
	}
	for _, fd := range o.fds {
		_ = unix.Close(fd)
	}
	o.waiting, o.fds = nil, nil
	o.changed.Broadcast()
}
