package shuffle

import (
	"context"
	"time"

	"weft/shuffle/mempool"
)

// begin asks where the blocks are: at once where there is a connection, and memory for small blocks.
func (x *fetch) begin() {
	link := x.peers.linked(x.req.App, x.req.Peer)
	if link == nil {
		go x.connect()
		return
	}
	lease := x.plenty(link)
	if n := x.eager(); n > 0 && lease == nil {
		var ok bool
		if lease, ok = x.req.Arena.TryTake(n); !ok {
			go x.connect()
			return
		}
	}
	x.mu.Lock()
	defer x.unlock()
	x.locate(link, lease)
}

// connect waits for a connection, and makes memory for small blocks, before it asks.
func (x *fetch) connect() {
	link, err := x.peers.get(x.ctx, x.req.App, x.req.Peer, x.req.Timeout)
	var lease *mempool.Lease
	if err == nil {
		lease = x.reserve(link)
	}
	x.mu.Lock()
	defer x.unlock()
	if err != nil {
		x.failLeft(ToBlockError(err))
		return
	}
	x.locate(link, lease)
}

// locate asks the owner for the blocks, of which small ones may come along into lease; nil: none may.
func (x *fetch) locate(link *link, lease *mempool.Lease) {
	x.link = link
	x.watch()
	req := &LocateRequest{App: x.req.App, Executor: x.req.Executor, Blocks: x.req.Blocks}
	var eager []byte
	if lease != nil {
		eager = lease.Bytes()
		req.EagerBlock = x.opts.EagerBlock
		if len(x.req.Blocks) == 1 {
			req.EagerBlock = len(eager)
		}
	}
	x.flying++
	x.achieve()
	link.Locate(req, eager, func(located []Located, err error) {
		x.complete(func() { x.completeLocate(lease, located, err) }, func() { x.discardLocate(lease, located) })
	})
}

// watch gives the fetch up when ctx ends, or when nothing was achieved for its time-out.
func (x *fetch) watch() {
	stop := context.AfterFunc(x.ctx, func() {
		x.mu.Lock()
		defer x.unlock()
		x.failLeft(ToBlockError(context.Cause(x.ctx)))
	})
	if x.req.Timeout > 0 {
		x.late = time.AfterFunc(x.req.Timeout, x.checkProgress)
	}
	x.unwatch = func() {
		stop()
		if x.late != nil {
			x.late.Stop()
		}
	}
}

// checkProgress fails the fetch when it has got no further for its time-out.
func (x *fetch) checkProgress() {
	x.mu.Lock()
	defer x.unlock()
	if x.left == 0 {
		return
	}
	if left := x.req.Timeout - time.Since(x.progress); left > 0 {
		x.late.Reset(left)
	} else {
		x.failLeft(x.timeout())
	}
}

// eager is how much memory is set aside for small blocks at most. A block that is delivered in pieces needs a lease of its own, so there it
// must be the only one.
func (x *fetch) eager() int {
	n := min(x.opts.EagerMax, len(x.req.Blocks)*x.opts.EagerBlock)
	if n < leastEager || (x.req.Pieces && len(x.req.Blocks) > 1) {
		return 0
	}
	return n
}

const leastEager = 4 << 10 // bytes: less is not worth a lease

// plenty leases memory where it is plenty: for more than eager, where what does not come along costs its owner, or a second round trip, more than to copy it. nil: none of
// that, or memory is not plenty.
func (x *fetch) plenty(link *link) *mempool.Lease {
	n := 0
	switch {
	case x.eager() == 0:
	case len(x.req.Blocks) > 1:
		if len(x.req.Blocks)<<10 > x.opts.EagerMax { // so many that with 1 KiB in each not all would come along
			n = 4 * x.opts.EagerMax
		}
	case !link.direct(): // it cannot be read past all copies. At most as long as its owner answers at once
		n = min(x.opts.EagerMax, max(x.opts.EagerBlock, quick))
	}
	if n == 0 {
		return nil
	}
	lease, _ := x.req.Arena.TrySpare(n)
	return lease
}

// reserve leases memory for small blocks: as much as may be needed, else less, or none at all where the arena is full.
func (x *fetch) reserve(link *link) *mempool.Lease {
	if lease := x.plenty(link); lease != nil {
		return lease
	}
	for n := x.eager(); n >= leastEager; n /= 2 {
		if lease, ok := x.req.Arena.TryAlloc(n); ok {
			return lease
		}
	}
	return nil
}
