package mem

import (
	"context"
	"errors"
	"sync"
	"time"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/serve"
)

// Name is the transport's name.
const Name = "mem"

// HandleIdle is how long a block is held open that nobody reads.
const HandleIdle = 5 * time.Minute

var errClosed = errors.New("mem: the connection was closed")

// Transport is the way to the blocks of one Source.
type Transport struct {
	src     shuffle.Source
	metrics *metrics.Set
}

// New returns the transport to src.
func New(src shuffle.Source, m *metrics.Set) *Transport {
	return &Transport{src: src, metrics: m}
}

// Name is "mem".
func (t *Transport) Name() string { return Name }

// Dial never fails; the peer's address is not looked at.
func (t *Transport) Dial(context.Context, shuffle.PeerAddr) (shuffle.Conn, error) {
	c := &conn{src: t.src, table: serve.NewTable(t.metrics, Name), closed: make(chan struct{})}
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.expiry = time.AfterFunc(HandleIdle/2, c.expire)
	return c, nil
}

type conn struct {
	src    shuffle.Source
	table  *serve.Table
	ctx    context.Context // ends with the connection
	cancel context.CancelCauseFunc
	closed chan struct{}
	ops    sync.WaitGroup // grows only while mu is held and the connection is open

	mu     sync.Mutex
	ended  bool
	expiry *time.Timer
}

// begin runs op on a goroutine of its own, telling it whether the connection is still open.
func (c *conn) begin(op func(open bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		go op(false)
		return
	}
	c.ops.Go(func() { op(true) })
}

// Locate implements shuffle.Conn.
func (c *conn) Locate(req *shuffle.LocateRequest, eager []byte, done func([]shuffle.Located, error)) {
	c.begin(func(open bool) {
		if !open {
			done(nil, errClosed)
			return
		}
		if !req.Ordered() {
			done(nil, shuffle.ErrOrder)
			return
		}
		found := serve.Find(c.ctx, c.src, req)
		located, _ := c.table.Answer(found, req.EagerBlock, eager, make([]shuffle.Located, 0, len(found)))
		if c.ctx.Err() != nil {
			done(nil, errClosed)
			return
		}
		done(located, nil)
	})
}

// Read implements shuffle.Conn.
func (c *conn) Read(ranges []shuffle.Range, release []uint64, dst []byte, done func(error)) {
	ranges, release = append([]shuffle.Range(nil), ranges...), append([]uint64(nil), release...)
	c.begin(func(open bool) {
		if !open {
			done(errClosed)
			return
		}
		err := c.read(ranges, dst)
		c.table.Release(release, err == nil)
		done(err)
	})
}

func (c *conn) read(ranges []shuffle.Range, dst []byte) error {
	for _, r := range ranges {
		b, err := c.table.Acquire(r)
		if err != nil {
			return err
		}
		if r.Length > int64(len(dst)) {
			err = shuffle.Errorf(shuffle.ReasonInternal, "ranges are longer than the memory for them")
		} else {
			err = b.ReadAt(dst[:r.Length], r.Offset)
		}
		if err != nil {
			c.table.Done(b, 0)
			return err
		}
		c.table.Done(b, r.Length)
		dst = dst[r.Length:]
	}
	if len(dst) > 0 {
		return shuffle.Errorf(shuffle.ReasonInternal, "ranges are %d bytes shorter than the memory for them", len(dst))
	}
	return nil
}

// Release implements shuffle.Conn.
func (c *conn) Release(handles []uint64) { c.table.Release(handles, false) }

// Close implements shuffle.Conn.
func (c *conn) Close() error {
	c.mu.Lock()
	if !c.ended {
		c.ended = true
		c.expiry.Stop()
		c.cancel(errClosed)
		close(c.closed)
	}
	c.mu.Unlock()
	c.ops.Wait()
	c.table.Close()
	return nil
}

// Closed implements shuffle.Conn.
func (c *conn) Closed() <-chan struct{} { return c.closed }

func (c *conn) expire() {
	c.table.Expire(time.Now().Add(-HandleIdle))
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended {
		c.expiry.Reset(HandleIdle / 2)
	}
}
