package mem

import (
	"context"
	"errors"
	"sync"
	"time"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/quota"
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

	// Handles, unless nil, divides the blocks that may be held open among applications. Set before use.
	Handles *quota.Pool
}

// New returns the transport to src.
func New(src shuffle.Source, m *metrics.Set) *Transport {
	return &Transport{src: src, metrics: m}
}

// Name is "mem".
func (t *Transport) Name() string { return Name }

// Dial never fails; the peer's address is not looked at.
func (t *Transport) Dial(context.Context, shuffle.PeerAddr) (shuffle.Conn, error) {
	c := &conn{src: t.src, handles: t.Handles, table: serve.NewTable(t.metrics, Name, 0), closed: make(chan struct{})}
	c.none.L = &c.mu
	c.ctx, c.cancel = context.WithCancelCause(context.Background())
	c.expiry = time.AfterFunc(HandleIdle/2, c.expire)
	return c, nil
}

type conn struct {
	src     shuffle.Source
	handles *quota.Pool
	table   *serve.Table
	ctx     context.Context // ends with the connection
	cancel  context.CancelCauseFunc
	closed  chan struct{}
	freed   sync.Once // all blocks were given back

	mu     sync.Mutex
	none   sync.Cond // ops became 0
	ops    int       // begun, and done was not called
	ended  bool
	expiry *time.Timer
}

// begin runs op on a goroutine of its own, or fail where the connection has ended.
func (c *conn) begin(op, fail func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		op = fail
	}
	c.ops++
	go func() {
		op()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ops--; c.ops == 0 {
			c.none.Broadcast()
		}
	}()
}

// Locate implements shuffle.Conn.
func (c *conn) Locate(req *shuffle.LocateRequest, eager []byte, done func([]shuffle.Located, error)) {
	c.begin(func() {
		if !req.Ordered() {
			done(nil, shuffle.ErrOrder)
			return
		}
		found := serve.Find(c.ctx, c.src, req)
		located, _ := c.table.Answer(c.handles.Of(req.App.ID), found, req.EagerBlock, eager, make([]shuffle.Located, 0, len(found)), nil)
		if c.ctx.Err() != nil {
			done(nil, errClosed)
			return
		}
		done(located, nil)
	}, func() { done(nil, errClosed) })
}

// piece is a block that a Read reads from, and where.
type piece struct {
	block *serve.Block
	off   int64
	dst   []byte
}

// Read implements shuffle.Conn.
func (c *conn) Read(reqs []shuffle.ReadRequest) {
	for _, r := range reqs {
		c.read(r.Ranges, append([]uint64(nil), r.Release...), r.Dst, r.Done)
	}
}

func (c *conn) read(ranges []shuffle.Range, release []uint64, dst []byte, done func(error)) {
	c.begin(func() {
		pieces, err := c.take(ranges, dst)
		for _, p := range pieces {
			served := int64(0)
			if err == nil {
				if err = p.block.ReadAt(p.dst, p.off); err == nil {
					served = int64(len(p.dst))
				}
			}
			c.table.Done(p.block, served)
		}
		c.table.Release(release)
		done(err)
	}, func() { done(errClosed) })
}

// take acquires the blocks of ranges.
func (c *conn) take(ranges []shuffle.Range, dst []byte) ([]piece, error) {
	pieces := make([]piece, 0, len(ranges))
	for _, r := range ranges {
		b, err := c.table.Acquire(r)
		if err != nil {
			return pieces, err
		}
		n := min(r.Length, int64(len(dst)))
		pieces = append(pieces, piece{b, r.Offset, dst[:n]})
		if dst = dst[n:]; n < r.Length {
			return pieces, shuffle.Errorf(shuffle.ReasonInternal, "ranges are longer than the memory for them")
		}
	}
	if len(dst) > 0 {
		return pieces, shuffle.Errorf(shuffle.ReasonInternal, "ranges are %d bytes shorter than the memory for them", len(dst))
	}
	return pieces, nil
}

// Release implements shuffle.Conn.
func (c *conn) Release(handles []uint64) { c.table.Release(handles) }

// Close implements shuffle.Conn. Whoever calls it, also while another does, finds all blocks given back when it returns.
func (c *conn) Close() error {
	c.mu.Lock()
	if !c.ended {
		c.ended = true
		c.expiry.Stop()
		c.cancel(errClosed)
		close(c.closed)
	}
	for c.ops > 0 {
		c.none.Wait()
	}
	c.mu.Unlock()
	c.freed.Do(c.table.Close)
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
