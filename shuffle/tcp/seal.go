package tcp

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// sealPart is how much of a file is read before it is encrypted, and about how much of what is encrypted leaves together.
const sealPart = 256 << 10

// cork is a socket beneath TLS, which writes record by record: it collects them, so that many leave with one system call.
type cork struct {
	*net.TCPConn

	mu   sync.Mutex // held while it writes: beside the outbox, TLS itself may have something to say
	on   bool
	held *buffer // nil: nothing is held back
}

// begin lets records be held back until flush.
func (c *cork) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = true
}

// Write implements net.Conn.
func (c *cork) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.on {
		return c.TCPConn.Write(p)
	}
	if c.held == nil {
		c.held = getBuffer(2 * sealPart)
	}
	c.held.b = append(c.held.b, p...)
	if len(c.held.b) < sealPart {
		return len(p), nil
	}
	return len(p), c.release()
}

func (c *cork) flush() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.release()
}

// release writes what is held back. mu is held.
func (c *cork) release() error {
	if c.held == nil {
		return nil
	}
	_, err := c.TCPConn.Write(c.held.b)
	c.held.free()
	c.held = nil
	return err
}

// sealBufs is sendBufs under TLS. What is to leave before more comes is flushed.
func (o *outbox) sealBufs(flush bool) error {
	for i, b := range o.bufs {
		if _, err := o.wire.tls.Write(b); err != nil {
			return err
		}
		o.bufs[i] = nil
	}
	o.bufs = o.bufs[:0]
	if !flush {
		return nil
	}
	return o.wire.cork.flush()
}

// seal is sendFile under TLS, which takes a copy.
func (p *piece) seal(w io.Writer) error {
	buf := getBuffer(int(min(p.n, sealPart)))
	defer buf.free()
	for p.n > 0 {
		part := buf.b[:min(p.n, int64(cap(buf.b)))]
		n, err := p.file.ReadAt(part, p.at)
		switch {
		case n == len(part):
		case !errors.Is(err, io.EOF):
			return err
		case !p.block.Checked:
			return errShorter(p.file)
		default:
			clear(part[n:])
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
		p.at, p.n, p.sent = p.at+int64(len(part)), p.n-int64(len(part)), p.sent+int64(n)
	}
	return nil
}

// unseal is fill under TLS. What makes the socket readable is left alone: how much of it is there TLS alone knows.
func (b *bulk) unseal(mem []byte, n int, arrived func(n int)) error {
	for n < len(mem) {
		got, err := b.wire.tls.Read(mem[n:])
		if got > 0 {
			n += got
			b.moved.Store(time.Now().UnixNano())
			arrived(n)
		}
		if errors.Is(err, io.EOF) && n < len(mem) {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return err
		}
	}
	var failed error
	err := b.wire.rc.Control(func(fd uintptr) { failed = acknowledge(fd) })
	return errors.Join(err, failed)
}
