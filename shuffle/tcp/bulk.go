package tcp

import (
	"errors"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// bulk reads large payloads from a socket, with few system calls and few wake-ups.
type bulk struct {
	wire *wire
	step func(fd uintptr) bool // method read, made once

	moved atomic.Int64 // when bytes came last, or were asked for after a rest; Unix time in ns

	low     int // SO_RCVLOWAT
	mem     []byte
	n       int // bytes of mem that are there
	arrived func(n int)
	err     error
}

const (
	// part is what one read(2) takes at most. Who is told of it finds it in the processor's cache; and the socket is not locked for long, so
	// that acknowledgements leave in time and the sender does not stall.
	part = 256 << 10
	// much is what has to be there, if there is as much to come, before the goroutine is woken.
	much = 512 << 10
)

func newBulk(w *wire) *bulk {
	b := &bulk{wire: w, low: 1}
	b.step = b.read
	return b
}

// fill fills mem, and tells arrived how much of it is there.
func (b *bulk) fill(mem []byte, n int, arrived func(n int)) error {
	if b.wire.tls != nil {
		return b.unseal(mem, n, arrived)
	}
	b.mem, b.n, b.arrived, b.err = mem, n, arrived, nil
	err := b.wire.rc.Read(b.step)
	b.mem, b.arrived = nil, nil
	if err == nil {
		err = b.err
	}
	return err
}

// read returns false where the socket has no more for now.
func (b *bulk) read(fd uintptr) bool {
	for b.n < len(b.mem) {
		n, err := unix.Read(int(fd), b.mem[b.n:min(b.n+part, len(b.mem))])
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			b.err = b.wakeAt(fd, min(much, len(b.mem)-b.n))
			return b.err != nil
		case err != nil:
			b.err = err
			return true
		case n == 0:
			b.err = io.ErrUnexpectedEOF
			return true
		default:
			b.n += n
			b.moved.Store(time.Now().UnixNano())
			b.arrived(b.n)
		}
	}
	b.err = errors.Join(b.wakeAt(fd, 1), acknowledge(fd))
	return true
}

// wakeAt sets how many bytes make the socket readable. The kernel looks at once whether they are there already (tcp(7), SO_RCVLOWAT in
// socket(7)).
func (b *bulk) wakeAt(fd uintptr, n int) error {
	if n == b.low {
		return nil
	}
	b.low = n
	return unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVLOWAT, n)
}

// acknowledge lets acknowledgements leave at once. As the reader answers each payload with the next request, the kernel would delay them by
// 40 ms, to send them along; where the sender waits for one, and nothing else is asked for, that is a stall (tcp(7), TCP_QUICKACK).
func acknowledge(fd uintptr) error {
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1)
}
