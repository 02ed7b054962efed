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

// Read implements shuffle.Conn. It takes hold of the blocks before it returns: the next Read may release their handles.
func (c *conn) Read(ranges []shuffle.Range, release []uint64, dst []byte, done func(error)) {
	ranges, release = append([]shuffle.Range(nil), ranges...), append([]uint64(nil), release...)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		go done(errClosed)
		return
	}
	blocks, err := c.acquire(ranges)
	c.ops.Go(func() {
		if err == nil {
			err = c.read(blocks, ranges, dst)
		}
		c.table.Release(release, err == nil)
		done(err)
	})
}

func (c *conn) acquire(ranges []shuffle.Range) ([]*serve.Block, error) {
	blocks := make([]*serve.Block, 0, len(ranges))
	for _, r := range ranges {
		b, err := c.table.Acquire(r)
		if err != nil {
			for _, b := range blocks {
				c.table.Done(b, 0)
			}
			return nil, err
		}
		blocks = append(blocks, b)
	}
	return blocks, nil
}

// read copies the ranges and gives the blocks back.
func (c *conn) read(blocks []*serve.Block, ranges []shuffle.Range, dst []byte) (err error) {
	for i, r := range ranges {
		served := int64(0)
		switch {
		case err != nil:
		case r.Length > int64(len(dst)):
			err = shuffle.Errorf(shuffle.ReasonInternal, "ranges are longer than the memory for them")
		default:
			if err = blocks[i].ReadAt(dst[:r.Length], r.Offset); err == nil {
				served, dst = r.Length, dst[r.Length:]
			}
		}
		c.table.Done(blocks[i], served)
	}
	if err == nil && len(dst) > 0 {
		err = shuffle.Errorf(shuffle.ReasonInternal, "ranges are %d bytes shorter than the memory for them", len(dst))
	}
	return err
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
