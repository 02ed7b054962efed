package shuffle

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"weft/internal/metrics"
	"weft/shuffle/mempool"
)

// fetch is one request under way. What the connection completes is handled at once, by the goroutine that completes it: the bytes are
// in its cache, and nobody has to be woken. The fetch's own goroutine, run, does what takes time: connecting, time-outs, more arena space.
// Whoever holds mu may call the sink. When every block has ended, operations that complete later only give their memory back.
type fetch struct {
	*Fetcher
	ctx    context.Context
	req    *FetchRequest
	sink   Sink
	start  time.Time
	stream uint64        // of all its reads
	link   *link         // set before the first operation
	wake   chan struct{} // one token for run: every block has ended, or there is no room

	mu       sync.Mutex
	ended    []bool // by block
	left     int    // blocks not ended
	located  []Located
	units    []*unit   // what is to be read
	asked    int       // units before this one are asked for
	flying   int       // operations not completed
	parked   int       // pieces that have memory of their own and wait for one before them
	progress time.Time // when something was last achieved
	batch    []ReadRequest
	want     int            // bytes for which there was no room; 0: none
	spare    *mempool.Lease // of as many, that run got
}

func (x *fetch) run() {
	defer x.leave()
	x.begin()
	var late <-chan time.Time
	var timer *time.Timer
	if x.req.Timeout > 0 {
		timer = time.NewTimer(x.req.Timeout)
		defer timer.Stop()
		late = timer.C
	}
	for {
		select {
		case <-x.wake:
			if x.proceed() {
				return
			}
		case <-x.ctx.Done():
			x.giveUp(ToBlockError(context.Cause(x.ctx)))
			return
		case <-late:
			left := x.patience()
			if left <= 0 {
				return
			}
			timer.Reset(left)
		}
	}
}

// proceed makes room and asks for more. It returns true when every block has ended.
func (x *fetch) proceed() (over bool) {
	spare := x.grow()
	x.mu.Lock()
	defer x.mu.Unlock()
	x.spare = spare
	if x.left > 0 {
		x.issue(true)
	}
	if x.spare != nil {
		x.spare.Release()
		x.spare = nil
	}
	return x.left == 0
}

// grow leases what there was no room for, if the arena can have more memory. That is made, zeroed and registered without mu: completions on
// the connection, which others share, do not wait for it.
func (x *fetch) grow() *mempool.Lease {
	x.mu.Lock()
	n := x.want
	x.want = 0
	x.mu.Unlock()
	if n == 0 {
		return nil
	}
	lease, _ := x.req.Arena.TryAlloc(n)
	return lease
}

// patience is how much longer it may take until the next progress. When that is no time any more, the fetch fails.
func (x *fetch) patience() time.Duration {
	x.mu.Lock()
	defer x.mu.Unlock()
	left := x.req.Timeout - time.Since(x.progress)
	if left <= 0 {
		x.failLeft(x.timeout())
	}
	return left
}

func (x *fetch) giveUp(err *BlockError) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.failLeft(err)
}

// kick lets run go on.
func (x *fetch) kick() {
	select {
	case x.wake <- struct{}{}:
	default:
	}
}

// begin connects, sets memory aside for small blocks and asks where the blocks are.
func (x *fetch) begin() {
	if x.left == 0 {
		x.kick()
		return
	}
	link, err := x.peers.get(x.ctx, x.req.App, x.req.Peer, x.req.Timeout)
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil {
		x.failLeft(ToBlockError(err))
		return
	}
	x.link = link
	req := &LocateRequest{App: x.req.App, Executor: x.req.Executor, Blocks: x.req.Blocks}
	lease := x.reserve()
	var eager []byte
	if lease != nil {
		eager = lease.Bytes()
		req.EagerBlock = x.opts.EagerBlock
	}
	x.flying++
	x.achieve()
	x.link.Locate(req, eager, func(located []Located, err error) {
		x.complete(func() { x.completeLocate(lease, located, err) }, func() { x.discardLocate(lease, located) })
	})
}

// reserve leases memory for small blocks: as much as may be needed, else less, or none at all where the arena is full. A block that is
// delivered in pieces needs a lease of its own, so there it must be the only one.
func (x *fetch) reserve() *mempool.Lease {
	if x.opts.EagerBlock == 0 || (x.req.Pieces && len(x.req.Blocks) > 1) {
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

// complete handles the end of an operation, on the connection's goroutine, by what is to be done as long as blocks are missing, or later.
func (x *fetch) complete(early, late func()) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.flying--
	if x.left == 0 {
		late()
		return
	}
	early()
	x.issue(false)
}

// discardLocate gives back what belongs to an answer whose blocks have all ended.
func (x *fetch) discardLocate(eager *mempool.Lease, located []Located) {
	if eager != nil {
		eager.Release()
	}
	var handles []uint64
	for i := range located {
		if h := located[i].Handle; h != 0 {
			handles = append(handles, h)
		}
	}
	x.link.Release(handles)
}

// leave gives up what was not read and leaves the operations in flight to themselves.
func (x *fetch) leave() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.units = slices.DeleteFunc(x.units, func(u *unit) bool { return u.over })
	if len(x.units) > 0 {
		x.releaseUnits(x.units...)
	}
	for _, u := range x.units {
		x.endUnit(u)
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
	x.end(blocks)
	x.metrics.BlocksTotal(d.Transport, metrics.Received).Add(float64(len(blocks)))
	x.metrics.BytesTotal(d.Transport, metrics.Received).Add(float64(bytes))
	x.sink.Delivered(d)
}

func (x *fetch) end(blocks []int) {
	for _, b := range blocks {
		x.ended[b] = true
	}
	if x.left -= len(blocks); x.left == 0 {
		x.kick()
	}
}
