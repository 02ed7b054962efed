package jvmbridge

import (
	"errors"
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"weft/internal/pb/bridgepb"
	"weft/jvmbridge/shm"
)

// intakeStop is how many bytes may wait for a JVM that does not read before its own frames are left unread too.
const intakeStop = 1 << 20

var errOutboxClosed = errors.New("session ended")

// outbox is what waits to be sent to one JVM. send never blocks: what can wait is bounded by what the session has outstanding, and the
// session takes nothing new while intakeStop bytes wait. One goroutine, in run, writes all that waits at once.
type outbox struct {
	frames      *net.UnixConn
	descriptors *net.UnixConn // set by attach

	mu      sync.Mutex
	changed sync.Cond
	waiting []byte
	fds     []int // owned
	writing int   // bytes that run is writing
	closed  bool
	broken  error // a frame could not be made
}

func newOutbox(frames *net.UnixConn) *outbox {
	o := &outbox{frames: frames}
	o.changed.L = &o.mu
	return o
}

// send queues a frame; after close it is dropped.
func (o *outbox) send(m *bridgepb.ToJvm) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue(m)
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
}

func (o *outbox) queue(m *bridgepb.ToJvm) {
	if o.closed || o.broken != nil {
		return
	}
	o.waiting, o.broken = appendFrame(o.waiting, m)
	o.changed.Broadcast()
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
