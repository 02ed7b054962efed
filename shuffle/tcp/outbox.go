package tcp

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// outbox sends frames over one connection, first in, first out. Whoever finds it idle sends what is there, as much as the socket takes at once; what is
// left, ranges of files, and what others add meanwhile, goes to a goroutine that waits for the socket. Nobody who calls send ever waits for the peer. Under TLS the
// goroutine sends everything, as a record that was begun has to be written to its end.
type outbox struct {
	wire *wire
	step func(fd uintptr) bool // method trySend, made once
	fail func(error)           // told of the first error, once, without a lock
	wake chan struct{}         // one token: the goroutine is to go on
	quit chan struct{}
	done chan struct{}

	mu    sync.Mutex
	queue []*frame
	bytes int       // of queue, blocks' own bytes aside
	room  sync.Cond // the queue became shorter, or err was set
	busy  bool      // somebody is sending, or wake has the token to do so
	err   error

	since atomic.Int64 // when what is being sent was begun, in nanoseconds; 0: nothing is

	// Of whoever is sending:
	wait    bool     // he may wait for the socket
	parked  bool     // he may not, and the socket takes no more
	bufs    [][]byte // to be sent first
	flight  []*frame // frames that bufs are of; the pieces of the last one follow
	sendErr error
}

// What may wait to be sent on one connection.
const (
	muchQueue = 1024     // frames: who asks for more waits
	muchBytes = 16 << 20 // bytes of frames: the same
	maxQueue  = 4096     // frames: a connection that has more is of no use
)

var errQueue = fmt.Errorf("the peer leaves more than %d frames unread", maxQueue)

func newOutbox(w *wire, fail func(error)) *outbox {
	o := &outbox{wire: w, fail: fail, wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	o.step = o.trySend
	o.room.L = &o.mu
	go o.run()
	return o
}

// send takes the frame over. inline allows the caller's goroutine to do the sending.
func (o *outbox) send(f *frame, inline bool) {
	inline = inline && o.wire.tls == nil
	o.mu.Lock()
	err := o.err
	if err == nil && len(o.queue) >= maxQueue {
		err = errQueue
	}
	if err != nil {
		o.mu.Unlock()
		f.free()
		o.abort(err)
		return
	}
	o.queue = append(o.queue, f)
	o.bytes += f.size()
	mine := !o.busy
	o.busy = true
	if mine && !inline {
		o.wake <- struct{}{} // there is room: only who is busy puts it there
	}
	o.mu.Unlock()
	if mine && inline {
		o.drain(false)
	}
}

// await returns when little waits to be sent, or nothing ever will be. So a peer that does not read is not read from.
func (o *outbox) await() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.err == nil && (len(o.queue) > muchQueue || o.bytes > muchBytes) {
		o.room.Wait()
	}
}

// stuck tells whether what is being sent was begun before that time.
func (o *outbox) stuck(since time.Time) bool {
	began := o.since.Load()
	return began != 0 && began < since.UnixNano()
}

func (o *outbox) run() {
	defer close(o.done)
	for {
		select {
		case <-o.wake:
			o.drain(true)
		case <-o.quit:
			return
		}
	}
}

// drain sends until nothing is left. Where it may not wait it sends once, and leaves the rest to the goroutine. Only who is busy calls it.
func (o *outbox) drain(wait bool) {
	for {
		o.wait, o.parked = wait, false
		err := o.pass()
		if err != nil {
			o.abort(err)
		}
		o.mu.Lock()
		switch {
		case o.err != nil:
			o.mu.Unlock()
			o.drop()
			return
		case o.parked || !wait && len(o.queue) > 0: // what others have added is not for who is in a hurry
			o.wake <- struct{}{}
			o.mu.Unlock()
			return
		case len(o.queue) == 0:
			o.busy = false
			o.mu.Unlock()
			return
		}
		o.mu.Unlock()
	}
}

// pass sends as much as the socket takes; under TLS, and where it may wait, everything.
func (o *outbox) pass() error {
	if o.wire.tls != nil {
		o.trySend(0)
	} else if err := o.wire.rc.Write(o.step); err != nil {
		return err
	}
	return o.sendErr
}

// abort makes everything that is sent from now on fail.
func (o *outbox) abort(err error) {
	o.mu.Lock()
	first := o.err == nil
	if first {
		o.err = err
		o.room.Broadcast()
	}
	o.mu.Unlock()
	if first {
		o.fail(err)
	}
}

// drop frees what was not sent, and stays busy for ever.
func (o *outbox) drop() {
	o.mu.Lock()
	rest := o.queue
	o.queue = nil
	o.mu.Unlock()
	for _, f := range append(o.flight, rest...) {
		f.unsent()
		f.free()
	}
	o.flight, o.bufs = nil, nil
}

// close frees what was not sent and ends the goroutine. The socket must have been closed.
func (o *outbox) close() {
	o.abort(net.ErrClosed)
	close(o.quit)
	<-o.done
	select {
	case <-o.wake: // nobody took it, and nobody puts another
		o.drop()
	default:
	}
}
