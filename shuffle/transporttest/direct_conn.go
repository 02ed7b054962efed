package transporttest

import (
	"errors"
	"sync"

	"weft/shuffle"
)

// directConn is a connection of a Direct, whose mu guards it.
type directConn struct {
	of    *Direct
	app   shuffle.App
	gone  chan struct{}
	err   error          // why it is gone
	reads sync.WaitGroup // grows only while mu is held and err is nil
}

// Knows implements shuffle.DirectConn.
func (c *directConn) Knows(dst []byte) bool {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	return c.of.stranger == nil || !c.of.stranger(dst)
}

// Read implements shuffle.DirectConn. Once the connection is gone it calls Done itself, as it may.
func (c *directConn) Read(reqs []shuffle.DirectRead) {
	for _, r := range reqs {
		err := c.begin()
		if err != nil {
			r.Done(err)
			continue
		}
		go func() {
			defer c.reads.Done()
			r.Done(c.read(r))
		}()
	}
}

func (c *directConn) begin() error {
	d := c.of
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.err == nil {
		d.count.Flying++
		c.reads.Add(1)
	}
	return c.err
}

// read does a read, and breaks the connection where that fails.
func (c *directConn) read(r shuffle.DirectRead) error {
	d := c.of
	d.pass(&d.reads, c.gone)
	err := c.Err()
	if err == nil && !c.Knows(r.Dst) {
		err = errors.New("fault: local protection error")
	}
	dst := r.Dst
	for _, p := range r.Parts {
		d.mu.Lock()
		e := d.exposed[p.Key]
		d.mu.Unlock()
		switch {
		case err != nil:
		case e == nil || p.Length <= 0 || p.Length > int64(len(dst)):
			err = errAccess
		default:
			err = e.read(c.app, dst[:p.Length], p.Addr)
			dst = dst[p.Length:]
		}
	}
	if err == nil && len(dst) > 0 {
		err = errors.New("fault: parts shorter than the memory")
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count.Flying--
	if d.tried++; err == nil && d.every > 0 && d.tried%d.every == 0 {
		err = errFault
	}
	if err != nil {
		c.end(err)
		return c.err
	}
	d.count.Reads++
	return nil
}

// end breaks the connection. mu is held.
func (c *directConn) end(err error) {
	if c.err == nil {
		c.err = err
		close(c.gone)
	}
}

// Gone implements shuffle.DirectConn.
func (c *directConn) Gone() <-chan struct{} { return c.gone }

// Err implements shuffle.DirectConn.
func (c *directConn) Err() error {
	c.of.mu.Lock()
	defer c.of.mu.Unlock()
	return c.err
}

// Close implements shuffle.DirectConn.
func (c *directConn) Close() error {
	c.of.mu.Lock()
	c.end(errors.New("fault: it was closed"))
	delete(c.of.conns, c)
	c.of.mu.Unlock()
	c.reads.Wait()
	return nil
}
