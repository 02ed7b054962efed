package shuffle

import (
	"context"
	"fmt"
	"sync"
	"time"

	"weft/internal/metrics"
	"weft/shuffle/mempool"
)

// fetch is one request under way. One goroutine, run, owns it and calls the sink; what the connection completes is handed to that
// goroutine. When every block has ended the goroutine leaves, and operations that complete later only give their memory back.
type fetch struct {
	*Fetcher
	ctx   context.Context
	req   *FetchRequest
	sink  Sink
	start time.Time
	link  *link

	ended    []bool // by block
	left     int    // blocks not ended
	located  []Located
	units    []*unit   // what is to be read
	asked    int       // units before this one are asked for
	flying   int       // operations not completed
	progress time.Time // when something was last achieved

	wake chan struct{} // one token: there are completions

	mu          sync.Mutex
	completions []completion
	spare       []completion // run's, to be filled next
	over        bool         // run has left
}

// completion is the end of a Locate (read is nil) or a Read.
type completion struct {
	read    *read
	eager   *mempool.Lease // of a Locate; may be nil
	located []Located
	err     error
}

func (x *fetch) run() {
	if err := x.begin(); err != nil {
		x.failLeft(err)
	}
	var late <-chan time.Time
	var timer *time.Timer
	if x.req.Timeout > 0 && x.left > 0 {
		timer = time.NewTimer(x.req.Timeout)
		defer timer.Stop()
		late = timer.C
	}
	for x.left > 0 {
		if err := x.issue(); err != nil {
			x.failLeft(err)
			break
		}
		if x.left == 0 {
			break
		}
		select {
		case <-x.wake:
			x.complete()
		case <-x.ctx.Done():
			x.failLeft(ToBlockError(context.Cause(x.ctx)))
		case <-late:
			if idle := time.Since(x.progress); idle >= x.req.Timeout {
				x.failLeft(x.timeout())
			} else {
				timer.Reset(x.req.Timeout - idle)
			}
		}
	}
	x.leave()
}

// begin connects, sets memory aside for small blocks and asks where the blocks are.
func (x *fetch) begin() *BlockError {
	if x.left == 0 {
		return nil
	}
	var err error
	if x.link, err = x.peers.get(x.ctx, x.req.Peer, x.req.Timeout); err != nil {
		return ToBlockError(err)
	}
	req := &LocateRequest{App: x.req.App, Executor: x.req.Executor, Blocks: x.req.Blocks}
	lease := x.reserve()
	var eager []byte
	if lease != nil {
		eager = lease.Bytes()
		req.EagerBlock = x.opts.EagerBlock
	}
	x.flying++
	x.progress = time.Now()
	x.link.Locate(req, eager, func(located []Located, err error) {
		x.done(completion{eager: lease, located: located, err: err})
	})
	return nil
}

// reserve leases memory for small blocks: as much as may be needed, else less, or none at all where the arena is full. A block that is
// delivered in pieces needs a lease of its own.
func (x *fetch) reserve() *mempool.Lease {
	if x.req.Pieces || x.opts.EagerBlock == 0 {
		return nil
	}
	const least = 4 << 10
	for n := min(x.opts.EagerMax, len(x.req.Blocks)*x.opts.EagerBlock); n >= least; n /= 2 {
		if lease, ok := x.req.Arena.TryAlloc(n); ok {
			return lease
		}
	}
	return nil
}

// done takes what the connection completed. It runs on the connection's goroutine.
func (x *fetch) done(c completion) {
	x.mu.Lock()
	over := x.over
	if !over {
		x.completions = append(x.completions, c)
	}
	x.mu.Unlock()
	if over {
		x.discard(c)
		return
	}
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// complete handles what was completed since the last call.
func (x *fetch) complete() {
	x.mu.Lock()
	batch := x.completions
	x.completions, x.spare = x.spare[:0], nil
	x.mu.Unlock()
	for i, c := range batch {
		x.flying--
		switch {
		case x.left == 0:
			x.discard(c)
		case c.read != nil:
			x.completeRead(c.read, c.err)
		default:
			x.completeLocate(c)
		}
		batch[i] = completion{}
	}
	x.spare = batch
}

// discard gives back what belongs to an operation whose blocks have all ended.
func (x *fetch) discard(c completion) {
	if c.read != nil {
		c.read.lease.Release()
		return
	}
	if c.eager != nil {
		c.eager.Release()
	}
	var handles []uint64
	for i := range c.located {
		if h := c.located[i].Handle; h != 0 {
			handles = append(handles, h)
		}
	}
	if len(handles) > 0 {
		x.link.Release(handles)
	}
}

// leave gives up what was not read and leaves the operations in flight to themselves.
func (x *fetch) leave() {
	for _, u := range x.units {
		x.abandon(u)
	}
	x.mu.Lock()
	x.over = true
	rest := x.completions
	x.completions = nil
	x.mu.Unlock()
	for _, c := range rest {
		x.discard(c)
	}
	if x.link != nil {
		x.metrics.FetchSeconds(x.link.transport).Observe(time.Since(x.start).Seconds())
	}
}

func (x *fetch) timeout() *BlockError {
	return Errorf(ReasonTimeout, "no progress for %v; %d of %d blocks are missing", x.req.Timeout, x.left, len(x.req.Blocks))
}

// lost is the reason for all blocks when the connection ended.
func lost(err error) *BlockError {
	return Errorf(ReasonPeerLost, "the connection to the peer's daemon broke: %v", err)
}

// failLeft ends every block that has not ended.
func (x *fetch) failLeft(err *BlockError) {
	blocks := make([]int, 0, x.left)
	for i, ended := range x.ended {
		if !ended {
			blocks = append(blocks, i)
		}
	}
	x.fail(blocks, err)
}

// fail ends blocks, none of which has ended.
func (x *fetch) fail(blocks []int, err *BlockError) {
	if len(blocks) == 0 {
		return
	}
	x.end(blocks)
	x.metrics.FailedBlocks(err.Reason.String()).Add(float64(len(blocks)))
	x.sink.Failed(blocks, err.Reason, err.Detail)
}

// failEach ends blocks that the owner does not serve, with one call for each reason.
func (x *fetch) failEach(blocks []int) {
	for len(blocks) > 0 {
		first := x.located[blocks[0]].Err
		var same, others []int
		for _, b := range blocks {
			if x.located[b].Err.Reason == first.Reason {
				same = append(same, b)
			} else {
				others = append(others, b)
			}
		}
		err := first
		if len(same) > 1 {
			err = &BlockError{first.Reason, fmt.Sprintf("%s (and %d more blocks)", first.Detail, len(same)-1)}
		}
		x.fail(same, err)
		blocks = others
	}
}

// deliver hands entries over. Those that end their block are counted.
func (x *fetch) deliver(d Delivery, blocks []int) {
	var bytes int64
	for _, e := range d.Entries {
		bytes += e.Length
	}
	d.Transport = x.link.transport
	x.end(blocks)
	x.metrics.BlocksTotal(d.Transport, metrics.Received).Add(float64(len(blocks)))
	x.metrics.BytesTotal(d.Transport, metrics.Received).Add(float64(bytes))
	x.sink.Delivered(d)
}

func (x *fetch) end(blocks []int) {
	for _, b := range blocks {
		x.ended[b] = true
	}
	x.left -= len(blocks)
}
