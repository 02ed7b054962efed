package tcp

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"weft/internal/sockio"
	"weft/shuffle/serve"
)

// frame is a frame on its way out: header and message, and the payload as bytes or as ranges of blocks.
type frame struct {
	head   *buffer
	body   *buffer // of bodyLen bytes; nil: none
	pieces []piece // one behind the other

	of      *opened  // whose handles these are
	sealed  bool     // it leaves under TLS, so that a block in memory is copied anyway
	release []uint64 // handles to give up when the frame was sent
}

// piece is a range of a block.
type piece struct {
	table *serve.Table
	block *serve.Block
	off   int64 // in the block
	n     int64 // bytes left to send
	sent  int64

	file *os.File // what is sent is bytes of it from at; nil: bytes of the block's memory
	at   int64
}

// lies says where the range's bytes are sent from. A block in a memory file can be sent from there without a copy, but then the kernel has only
// references to the memory when it is sent, as long as the reader has not read it: the block must be held until the reader gives it up, so the frame
// must not do that; and should its owner end before, the reader must be able to see that other bytes came, by the checksum.
func (p *piece) lies(givenUp func() bool) {
	switch b := p.block; {
	case b.File != nil:
		p.file, p.at = b.File, b.Offset+p.off
	case b.MemFile != nil && b.Checked && !givenUp():
		p.file, p.at = b.MemFile, b.MemOffset+p.off
	}
}

const pieceSize = 72 // of a piece, about

// size is how many bytes of memory the frame holds, blocks' own aside.
func (f *frame) size() int {
	n := len(f.head.b)
	if f.body != nil {
		n += len(f.body.b)
	}
	return n + 8*len(f.release) + pieceSize*len(f.pieces)
}

// unsent takes back what was only about to be sent: bytes in memory.
func (f *frame) unsent() {
	for i := range f.pieces {
		if f.pieces[i].file == nil {
			f.pieces[i].sent = 0
		}
	}
}

// free gives back what the frame holds, sent or not.
func (f *frame) free() {
	f.head.free()
	if f.body != nil {
		f.body.free()
	}
	for i := range f.pieces {
		f.pieces[i].table.Done(f.pieces[i].block, f.pieces[i].sent)
	}
	if len(f.release) > 0 {
		f.of.release(f.release)
	}
	f.head, f.body, f.pieces, f.release = nil, nil, nil, nil
}

// gather is how many slices one sendmsg(2) takes at most.
const gather = 256

// trySend sends; it returns false to be called again when the socket takes more.
func (o *outbox) trySend(fd uintptr) bool {
	for {
		if len(o.flight) == 0 {
			if !o.next() {
				return true
			}
			o.since.Store(time.Now().UnixNano())
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
			f.free()
			o.flight[i] = nil
		}
		o.flight = o.flight[:0]
		o.since.Store(0)
		if !o.wait {
			return true
		}
	}
}

// next takes frames from the queue up to the first with pieces; without that where it may not wait, as a file may have to be read from its disk.
func (o *outbox) next() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	n := 0
	for n < len(o.queue) && len(o.bufs) < gather {
		f := o.queue[n]
		if !o.wait && len(f.pieces) > 0 {
			break
		}
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
		if p.file == nil {
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
		if blocked, err = o.sendFile(fd, p); blocked || err != nil {
			return blocked, err
		}
	}
	return o.sendBufs(fd, 0)
}

func (o *outbox) sendBufs(fd, flags int) (blocked bool, err error) {
	if o.wire.tls != nil {
		return false, o.sealBufs(flags&unix.MSG_MORE == 0)
	}
	for len(o.bufs) > 0 {
		n, err := sockio.Send(fd, o.bufs, flags)
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

// sendFile sends a range of a file. The length was promised in the frame's header, so where the file became shorter since, zeroes go in its
// place: the reader sees by the checksum that they are not the block, and what others read over this connection goes on. Without a checksum
// nobody would see it, so the connection ends.
func (o *outbox) sendFile(fd int, p *piece) (blocked bool, err error) {
	if o.wire.tls != nil {
		return false, p.seal(o.wire.tls)
	}
	file := int(p.file.Fd())
	for p.n > 0 {
		n, err := unix.Sendfile(fd, file, &p.at, int(min(p.n, maxPayload))) // moves at
		switch {
		case errors.Is(err, unix.EAGAIN):
			return true, nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return false, fmt.Errorf("sendfile of %s: %w", p.file.Name(), err)
		case n == 0 && p.block.Checked:
			return p.sendZeroes(fd)
		case n == 0:
			return false, errShorter(p.file)
		}
		p.n, p.sent = p.n-int64(n), p.sent+int64(n)
	}
	return false, nil
}

var zeroes [64 << 10]byte

// sendZeroes sends zeroes for the rest of the range. They do not count as sent.
func (p *piece) sendZeroes(fd int) (blocked bool, err error) {
	for p.n > 0 {
		n, err := unix.SendmsgBuffers(fd, [][]byte{zeroes[:min(p.n, int64(len(zeroes)))]}, nil, nil, unix.MSG_NOSIGNAL)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return true, nil
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return false, fmt.Errorf("send: %w", err)
		}
		p.n -= int64(n)
	}
	return false, nil
}

func errShorter(f *os.File) error {
	return fmt.Errorf("%s became shorter while it was sent: %w", f.Name(), io.ErrUnexpectedEOF)
}
