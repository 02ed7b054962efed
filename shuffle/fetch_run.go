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
// in its cache, and nobody has to be woken. A goroutine of its own there is only for what takes time: connecting, and more arena space.
// Whoever holds mu may call the sink. When every block has ended, operations that complete later only give their memory back.
type fetch struct {
	*Fetcher
	ctx    context.Context
	req    *FetchRequest
	sink   Sink
	start  time.Time
	stream uint64 // of all its reads

	mu       sync.Mutex
	link     *link  // set before the first operation
	unwatch  func() // ends the waiting for ctx's end, and for the time-out
	late     *time.Timer
	ended    []bool // by block
	left     int    // blocks not ended
	closed   bool   // left is 0, and leave was called
	located  []Located
	units    []*unit   // what is to be read
	asked    int       // units before this one are asked for
	flying   int       // operations not completed
	parked   int       // pieces that have memory of their own and wait for one before them
	progress time.Time // when something was last achieved
	batch    []ReadRequest
	want     int            // bytes for which there was no room; 0: none
	growing  bool           // grow is running
	spare    *mempool.Lease // of as many, that grow got
}

// unlock gives mu back. What has to follow from what was done under it is seen to here.
func (x *fetch) unlock() {
	switch {
	case x.left == 0 && !x.closed:
		x.closed = true
		x.leave()
		x.running.Done()
	case x.left > 0 && x.want > 0 && !x.growing:
		x.growing = true
		x.running.Go(x.grow)
	}
	x.mu.Unlock()
}

// grow makes memory for which there was no room, and reads more into it. It is made, zeroed and registered without mu: completions on the
// connection, which others share, do not wait for it. Where the arena can have no more, and nothing is in flight, it waits.
func (x *fetch) grow() {
	x.mu.Lock()
	defer x.unlock()
	for x.left > 0 && x.want > 0 {
		n := x.want
		x.want = 0
		x.mu.Unlock()
		lease, _ := x.req.Arena.TryAlloc(n)
		x.mu.Lock()
		x.spare = lease
		if x.left > 0 {
			x.issue(true)
		}
		if x.spare != nil {
			x.spare.Release()
			x.spare = nil
		}
	}
	x.growing = false
}

// complete handles the end of an operation, on the connection's goroutine, by what is to be done as long as blocks are missing, or later.
func (x *fetch) complete(early, late func()) {
	x.mu.Lock()
	defer x.unlock()
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
	if x.left -= len(blocks); x.left == 0 && x.unwatch != nil {
		x.unwatch() // before the sink is told of the last, and ends ctx
	}
}
