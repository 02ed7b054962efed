package tcp

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"weft/shuffle/serve"
)

// frame is a frame on its way out: header and message, and the payload as bytes or as ranges of blocks.
type frame struct {
	head   *buffer
	body   *buffer // of bodyLen bytes; nil: none
	pieces []piece // one behind the other

	table   *serve.Table // whose blocks the pieces are
	release []uint64     // handles to give up when the frame was sent
}

// piece is a range of a block.
type piece struct {
	block *serve.Block
	off   int64
	n     int64 // bytes left to send
	sent  int64
}

// gather is how many slices one sendmsg(2) takes at most.
const gather = 256

// outbox sends frames over one connection, first in, first out. Whoever finds it idle sends as much as the socket takes at once; what is
// left, and what others add meanwhile, goes to a goroutine that waits for the socket. Nobody who calls send ever waits for the peer.
type outbox struct {
	rc   syscall.RawConn
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

func newOutbox(conn *net.TCPConn, fail func(error)) (*outbox, error) {
	rc, err := conn.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	o := &outbox{rc: rc, fail: fail, wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{})}
	o.step = o.trySend
	o.room.L = &o.mu
	go o.run()
	return o, nil
}

// send takes the frame over. inline allows the caller's goroutine to do the sending.
func (o *outbox) send(f *frame, inline bool) {
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

// drain sends until nothing is left. Where it may not wait and the socket is full it leaves the rest to the goroutine. Only who is busy
// calls it.
func (o *outbox) drain(wait bool) {
	for {
		o.wait, o.parked = wait, false
		err := o.rc.Write(o.step)
		if err == nil {
			err = o.sendErr
		}
		if err != nil {
			o.abort(err)
		}
		o.mu.Lock()
		switch {
		case o.err != nil:
			o.mu.Unlock()
			o.drop()
			return
		case o.parked:
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

// trySend sends; it returns false to be called again when the socket takes more.
func (o *outbox) trySend(fd uintptr) bool {
	for {
		if len(o.flight) == 0 && !o.next() {
			return true
		}
		blocked, err := o.sendFlight(int(fd))
		if err != nil {
			o.sendErr = err
			return true
		}
		if blocked {
			o.parked = !o.wait
			return o.parked
		}
		for i, f := range o.flight {
			f.sent()
			o.flight[i] = nil
		}
		o.flight = o.flight[:0]
	}
}

// next takes frames from the queue up to the first with pieces.
func (o *outbox) next() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for n < len(o.queue) && len(o.bufs) < gather {
		f := o.queue[n]
		n++
		o.bytes -= f.size()
		o.flight = append(o.flight, f)
		o.bufs = append(o.bufs, f.head.b)
		if f.body != nil {
			o.bufs = append(o.bufs, f.body.b)
		}
		if len(f.pieces) > 0 {
			break
		}
	}
	left := copy(o.queue, o.queue[n:])
	clear(o.queue[left:])
	o.queue = o.queue[:left]
	o.room.Broadcast()
	return n > 0
}

// sendFlight sends bufs, then the pieces of the last frame. blocked means that the socket takes no more for now.
func (o *outbox) sendFlight(fd int) (blocked bool, err error) {
	pieces := o.flight[len(o.flight)-1].pieces
	for i := range pieces {
		p := &pieces[i]
		if p.n == 0 {
			continue
		}
		if p.block.File == nil {
			if len(o.bufs) >= gather {
				if blocked, err = o.sendBufs(fd, unix.MSG_MORE); blocked || err != nil {
					return blocked, err
				}
			}
			o.bufs = append(o.bufs, p.block.Mem[p.off:p.off+p.n])
			p.sent, p.n = p.n, 0
			continue
		}
		if blocked, err = o.sendBufs(fd, unix.MSG_MORE); blocked || err != nil {
			return blocked, err
		}
		if blocked, err = p.sendFile(fd); blocked || err != nil {
			return blocked, err
		}
	}
	return o.sendBufs(fd, 0)
}

func (o *outbox) sendBufs(fd, flags int) (blocked bool, err error) {
	for len(o.bufs) > 0 {
		n, err := unix.SendmsgBuffers(fd, o.bufs, nil, nil, flags|unix.MSG_NOSIGNAL)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return true, nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return false, fmt.Errorf("send: %w", err)
		}
		i := 0
		for ; i < len(o.bufs) && n >= len(o.bufs[i]); i++ {
			n -= len(o.bufs[i])
		}
		left := copy(o.bufs, o.bufs[i:])
		clear(o.bufs[left:])
		o.bufs = o.bufs[:left]
		if left > 0 {
			o.bufs[0] = o.bufs[0][n:]
		}
	}
	return false, nil
}

// sendFile sends a range of a file. The length was promised in the frame's header, so a file that became shorter since ends the
// connection: there is no way to tell the peer, and zeroes in its place would be wrong data.
func (p *piece) sendFile(fd int) (blocked bool, err error) {
	file := int(p.block.File.Fd())
	for p.n > 0 {
		at := p.block.Offset + p.off
		n, err := unix.Sendfile(fd, file, &at, int(min(p.n, maxPayload)))
		switch {
		case errors.Is(err, unix.EAGAIN):
			return true, nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return false, fmt.Errorf("sendfile of %s: %w", p.block.File.Name(), err)
		case n == 0:
			return false, fmt.Errorf("%s became shorter while it was sent: %w", p.block.File.Name(), io.ErrUnexpectedEOF)
		}
		p.off, p.n, p.sent = p.off+int64(n), p.n-int64(n), p.sent+int64(n)
	}
	return false, nil
}

// size is how many bytes of memory the frame holds, blocks' own aside.
func (f *frame) size() int {
	n := len(f.head.b)
	if f.body != nil {
		n += len(f.body.b)
	}
	return n
}

// sent gives back what the frame held, after all of it was sent.
func (f *frame) sent() {
	if f.table != nil {
		f.table.Release(f.release, true)
		f.release = nil
	}
	f.free()
}

// free gives back what the frame holds.
func (f *frame) free() {
	f.head.free()
	if f.body != nil {
		f.body.free()
	}
	for i := range f.pieces {
		f.table.Done(f.pieces[i].block, f.pieces[i].sent)
	}
	f.head, f.body, f.pieces = nil, nil, nil
}
