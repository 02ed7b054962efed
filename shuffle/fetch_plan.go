package shuffle

import (
	"errors"
	"slices"

	"weft/shuffle/mempool"
)

// unit is what is leased and delivered together: blocks that are small, or one that is not.
type unit struct {
	blocks []int
	length int64          // of all blocks
	lease  *mempool.Lease // of all bytes; nil before the first read, and where each piece has its own. The unit owns one share
	issued int64          // bytes asked for
	given  bool           // its handles were given up, or will be by its only read
	over   bool           // its blocks have ended
	by     string         // how its bytes came

	// Of a unit of one block:
	next    int64   // where its checked bytes end
	sum     uint32  // their checksum
	arrived []*read // behind next
}

// completeLocate handles the owner's answer: it ends what failed, has no bytes or came along, in eager, and plans reads of the rest.
func (x *fetch) completeLocate(eager *mempool.Lease, located []Located, err error) {
	if err == nil && len(located) != len(x.req.Blocks) {
		err = Errorf(ReasonInternal, "%d answers for %d blocks", len(located), len(x.req.Blocks))
	}
	if err != nil {
		x.discardLocate(eager, located)
		var be *BlockError
		if !errors.As(err, &be) {
			be = lost(err)
		}
		x.failLeft(be)
		return
	}
	x.achieve()
	x.located = located
	var failed, empty, small, large []int
	together := x.together()
	for i := range x.located {
		switch l := &x.located[i]; {
		case l.Err != nil:
			failed = append(failed, i)
		case l.Length == 0:
			empty = append(empty, i)
		case l.Handle == 0:
			small = append(small, i)
		case !x.req.Pieces && l.Length > x.req.Arena.MaxLease():
			large = append(large, i)
		default:
			x.plan(i, together)
		}
	}
	x.failEach(failed)
	x.deliverEager(eager, small)
	x.deliverEmpty(empty)
	x.refuseLarge(large)
}

// together is how many bytes of blocks are read together at most: a piece, but an eighth of the request where that is less. So one of a few MB
// is spread over the streams, and its first blocks are delivered while others are on their way.
func (x *fetch) together() int64 {
	var sum int64
	for i := range x.located {
		if l := &x.located[i]; l.Err == nil && l.Handle != 0 {
			sum += l.Length
		}
	}
	return min(max(sum/8, leastTogether), int64(x.opts.Piece), x.req.Arena.MaxLease())
}

const leastTogether = 256 << 10 // less is not worth a read

// plan adds a block to the unit before it, if the two are no more than may be read together, or makes a unit of it.
func (x *fetch) plan(block int, together int64) {
	length := x.located[block].Length
	if n := len(x.units); n > 0 && !x.req.Pieces {
		last := x.units[n-1]
		if sum := last.length + length; sum <= together {
			last.blocks, last.length = append(last.blocks, block), sum
			return
		}
	}
	x.units = append(x.units, &unit{blocks: []int{block}, length: length})
}

// deliverEager checks and delivers the blocks that came with the answer, in one lease.
func (x *fetch) deliverEager(lease *mempool.Lease, blocks []int) {
	if len(blocks) == 0 {
		if lease != nil {
			lease.Release()
		}
		return
	}
	last := &x.located[blocks[len(blocks)-1]]
	lease.Trim(last.EagerOff + int(last.Length))
	var sums []uint32
	if x.checked(blocks) {
		sums = make([]uint32, len(blocks))
		for i, b := range blocks {
			l := &x.located[b]
			sums[i] = Checksum(lease.Bytes()[l.EagerOff : l.EagerOff+int(l.Length)])
		}
	}
	x.deliverWhole(lease, blocks, sums, x.link.transport)
}

// deliverWhole delivers blocks that lie one behind the other in lease, of which it owns one share: those with the right sums, together.
func (x *fetch) deliverWhole(lease *mempool.Lease, blocks []int, sums []uint32, by string) {
	entries := make([]Entry, 0, len(blocks))
	right := blocks[:0]
	var wrong []int
	off := lease.Offset()
	for i, b := range blocks {
		l := &x.located[b]
		if l.Checked && sums[i] != l.CRC {
			wrong = append(wrong, b)
		} else {
			right = append(right, b)
			entries = append(entries, Entry{Block: b, Offset: off, Length: l.Length})
		}
		off += l.Length
	}
	if len(right) == 0 {
		lease.Release()
	} else {
		lease.Retain(len(right) - 1)
		d := Delivery{Lease: lease, Entries: entries, Transport: by}
		if x.req.Pieces { // the only block, which came along as a whole
			d.BlockLength = entries[0].Length
		}
		x.deliver(d, right)
	}
	x.failChecksum(wrong, by)
}

// checked tells whether any of the blocks has a checksum. Its owner relies on that being compared: a block whose file is cut meanwhile comes with other
// bytes, not with an error.
func (x *fetch) checked(blocks []int) bool {
	return slices.ContainsFunc(blocks, func(b int) bool { return x.located[b].Checked })
}

func (x *fetch) failChecksum(blocks []int, by string) {
	if len(blocks) == 0 {
		return
	}
	x.metrics.ChecksumErrors.Add(float64(len(blocks)))
	x.log.Error("blocks arrived with other bytes than their owner has; they are not delivered",
		"blocks", len(blocks), "first", x.req.Blocks[blocks[0]].String(), "executor", x.req.Executor, "transport", by)
	x.fail(blocks, Errorf(ReasonChecksum, "%s: the bytes received do not match the owner's CRC32C", x.req.Blocks[blocks[0]]))
}

// deliverEmpty delivers blocks without bytes, which lie in no lease.
func (x *fetch) deliverEmpty(blocks []int) {
	if len(blocks) == 0 {
		return
	}
	if x.req.Pieces {
		for _, b := range blocks {
			x.deliver(Delivery{Entries: []Entry{{Block: b}}, Transport: x.link.transport}, []int{b})
		}
		return
	}
	entries := make([]Entry, len(blocks))
	for i, b := range blocks {
		entries[i].Block = b
	}
	x.deliver(Delivery{Entries: entries, Transport: x.link.transport}, blocks)
}

// refuseLarge ends the blocks for which no lease is large enough.
func (x *fetch) refuseLarge(blocks []int) {
	if len(blocks) == 0 {
		return
	}
	handles := make([]uint64, len(blocks))
	for i, b := range blocks {
		handles[i] = x.located[b].Handle
	}
	x.link.Release(handles)
	x.fail(blocks, Errorf(ReasonTooLarge, "%s has %d bytes, a lease at most %d (raise weft.memory.session or weft.memory.max, or let Spark fetch it to disk)",
		x.req.Blocks[blocks[0]], x.located[blocks[0]].Length, x.req.Arena.MaxLease()))
}
