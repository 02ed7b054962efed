package shuffle

import (
	"context"
	"errors"
	"slices"
	"time"

	"weft/internal/invariants"
	"weft/shuffle/mempool"
)

// read is one Read in flight: bytes [off, off+n) of a unit. It owns one share of the lease that it is received into.
type read struct {
	unit  *unit
	off   int64
	n     int64
	lease *mempool.Lease
	dst   []byte
	sums  rangeSums // of dst
	by    string    // how it came, where that is not the connection's transport
}

// issue begins reads until the window is full, all is asked for, or there is no room for more. It does so when half of the window is free,
// so that the owner is asked for several reads at a time. Only grow may wait for room; others leave that to it.
func (x *fetch) issue(mayWait bool) {
	if x.flying > x.opts.Window/2 {
		return
	}
	for x.left > 0 && x.flying+x.parked < x.opts.Window && x.asked < len(x.units) {
		u := x.units[x.asked]
		if u.over || u.issued == u.length {
			x.asked++
			continue
		}
		n := min(int64(x.opts.Piece), u.length-u.issued)
		lease, err := x.room(u, n, mayWait)
		if err != nil {
			x.failLeft(x.noRoom(err))
			break
		}
		if lease == nil {
			break
		}
		x.prepare(u, n, lease)
	}
	if len(x.batch) > 0 {
		x.link.Read(x.batch)
		clear(x.batch)
		x.batch = x.batch[:0]
	}
}

// room is a share of the memory for the next n bytes of u. It is nil when there is none now, but something in flight that may give some
// back, to its receiver, when it is delivered; or when grow is to see to it. Only where nothing is in flight it waits.
func (x *fetch) room(u *unit, n int64, mayWait bool) (*mempool.Lease, error) {
	if u.lease != nil {
		u.lease.Retain(1)
		return u.lease, nil
	}
	if !x.req.Pieces {
		n = u.length
	}
	lease := x.take(int(n))
	switch {
	case lease != nil:
	case !mayWait:
		x.want = int(n)
		return nil, nil
	case x.flying > 0:
		return nil, nil
	default:
		var err error
		if lease, err = x.await(u, int(n)); err != nil {
			return nil, err
		}
	}
	if !x.req.Pieces {
		u.lease = lease
		lease.Retain(1)
	}
	return lease, nil
}

// take is a lease of n bytes of the memory that there is; nil: none.
func (x *fetch) take(n int) *mempool.Lease {
	if l := x.spare; l != nil && l.Len() == n {
		x.spare = nil
		return l
	}
	lease, _ := x.req.Arena.TryTake(n)
	return lease
}

// await waits for arena space: not for long, because those who hold it may wait for this fetch. The pieces of a block that was delivered in
// part are different: who has them gives them back as they are written to a disk, and one that stalls for a moment is no reason to fetch
// gigabytes anew. Then only the time-out ends the wait. mu stays held: as nothing is in flight, no completion can want it.
func (x *fetch) await(u *unit, n int) (*mempool.Lease, error) {
	invariants.Check(x.flying == 0, "waiting for memory with %d operations in flight", x.flying)
	wait, cause := x.opts.MemoryWait, error(nil)
	if t := x.req.Timeout; t > 0 && (x.req.Pieces && u.next > 0 || t-time.Since(x.progress) < wait) {
		wait, cause = t-time.Since(x.progress), x.timeout()
	}
	ctx, cancel := context.WithTimeoutCause(x.ctx, wait, cause)
	defer cancel()
	begin := time.Now()
	lease, err := x.req.Arena.Alloc(ctx, n)
	x.metrics.ArenaWaitSeconds.Observe(time.Since(begin).Seconds())
	if err == nil {
		x.achieve()
	}
	return lease, err
}

// noRoom is why the blocks that are left fail, when waiting for space failed.
func (x *fetch) noRoom(err error) *BlockError {
	var be *BlockError
	switch {
	case x.ctx.Err() != nil:
		return ToBlockError(context.Cause(x.ctx))
	case errors.As(err, &be): // the fetch's time-out
		return be
	case errors.Is(err, mempool.ErrTooLarge):
		return Errorf(ReasonTooLarge, "%v", err)
	default:
		return Errorf(ReasonNoSpace, "%v (the executor holds what it was given; raise weft.memory.session or weft.memory.max)", err)
	}
}

// prepare adds a read of the next n bytes of u to the batch.
func (x *fetch) prepare(u *unit, n int64, lease *mempool.Lease) {
	r := &read{unit: u, off: u.issued, n: n, lease: lease, dst: lease.Bytes()}
	u.issued += n
	if u.lease != nil {
		r.dst = r.dst[r.off : r.off+n]
	}
	req := ReadRequest{Dst: r.dst, Ranges: make([]Range, 0, len(u.blocks)), Stream: x.stream, By: func(transport string) { r.by = transport }}
	if n == u.length {
		req.Release, u.given = x.handles(u), true
	}
	if len(u.blocks) == 1 {
		req.Ranges = append(req.Ranges, Range{x.located[u.blocks[0]].Handle, r.off, n})
	} else {
		for _, b := range u.blocks {
			req.Ranges = append(req.Ranges, Range{x.located[b].Handle, 0, x.located[b].Length})
		}
	}
	checked := x.checked(u.blocks)
	if checked {
		r.sums = newRangeSums(req.Ranges)
		req.Arrived = func(n int) { r.sums.update(r.dst[:n]) }
	}
	req.Done = func(err error) {
		if err == nil && checked {
			r.sums.update(r.dst)
		}
		x.complete(func() { x.completeRead(r, err) }, r.lease.Release)
	}
	x.flying++
	x.batch = append(x.batch, req)
}

// releaseUnits tells the owner that the units' blocks are not read any more, unless a read told it.
func (x *fetch) releaseUnits(units ...*unit) {
	var handles []uint64
	for _, u := range units {
		if !u.given {
			u.given = true
			handles = append(handles, x.handles(u)...)
		}
	}
	x.link.Release(handles)
}

func (x *fetch) handles(u *unit) []uint64 {
	handles := make([]uint64, len(u.blocks))
	for i, b := range u.blocks {
		handles[i] = x.located[b].Handle
	}
	return handles
}

// completeRead handles the end of a Read.
func (x *fetch) completeRead(r *read, err error) {
	u := r.unit
	var be *BlockError
	switch {
	case err == nil:
		x.achieve()
		u.came(r.by, x.link.transport)
	case errors.As(err, &be):
		r.lease.Release()
		x.failUnit(u, be)
		return
	default:
		r.lease.Release()
		x.failLeft(lost(err))
		return
	}
	switch {
	case u.over:
		r.lease.Release()
	case len(u.blocks) > 1:
		lease := u.take()
		lease.Release() // the read's share
		x.deliverWhole(lease, u.blocks, r.sums.all, u.by)
	default:
		x.park(u, r)
		x.advance(u)
	}
}

// advance checks what has arrived of a unit of one block as far as nothing before it is missing, and delivers it: each piece, or the whole
// at the end.
func (x *fetch) advance(u *unit) {
	b := u.blocks[0]
	l := &x.located[b]
	for !u.over {
		i := slices.IndexFunc(u.arrived, func(r *read) bool { return r.off == u.next })
		if i < 0 {
			return
		}
		r := u.arrived[i]
		u.arrived = slices.Delete(u.arrived, i, i+1)
		x.unpark(u)
		if l.Checked {
			u.sum = CombineChecksums(u.sum, r.sums.all[0], r.n)
		}
		u.next += r.n
		last := u.next == u.length
		if last {
			x.releaseUnits(u)
		}
		switch {
		case last && l.Checked && u.sum != l.CRC:
			r.lease.Release()
			x.endUnit(u)
			x.failChecksum(u.blocks, u.by)
		case x.req.Pieces:
			d := Delivery{Lease: r.lease, Entries: []Entry{{b, r.lease.Offset(), r.n}}, PieceOffset: r.off, BlockLength: u.length, Transport: u.by}
			if last {
				u.over = true
				x.deliver(d, u.blocks)
			} else {
				x.deliver(d, nil)
			}
		case last:
			lease := u.take()
			lease.Release() // the read's share
			x.deliver(Delivery{Lease: lease, Entries: []Entry{{b, lease.Offset(), u.length}}, Transport: u.by}, u.blocks)
		default:
			r.lease.Release()
		}
	}
}

// came notes how bytes of the unit came. When not all of them came the same way, it is the connection's.
func (u *unit) came(by, otherwise string) {
	if by == "" || (u.by != "" && u.by != by) {
		by = otherwise
	}
	u.by = by
}

// park keeps what has arrived until all before it has. It counts against the window: a read that is late must not let the others take all of
// the arena.
func (x *fetch) park(u *unit, r *read) {
	u.arrived = append(u.arrived, r)
	if u.lease == nil {
		x.parked++
	}
}

func (x *fetch) unpark(u *unit) {
	if u.lease == nil {
		x.parked--
	}
}

// take ends a unit that was read to its end and gives the lease with the unit's share to the caller.
func (u *unit) take() *mempool.Lease {
	lease := u.lease
	u.lease, u.over = nil, true
	return lease
}

// failUnit ends the blocks of a unit because one of its reads failed.
func (x *fetch) failUnit(u *unit, err *BlockError) {
	if u.over {
		return
	}
	x.abandon(u)
	x.fail(u.blocks, err)
}

// abandon gives up a unit that is not read to its end: its handles, and its memory. Reads of it that are in flight may fail then.
func (x *fetch) abandon(u *unit) {
	if u.over {
		return
	}
	x.releaseUnits(u)
	x.endUnit(u)
}

// endUnit gives back the memory of a unit whose blocks have ended or are about to. Reads in flight keep their shares.
func (x *fetch) endUnit(u *unit) {
	u.over = true
	for _, r := range u.arrived {
		x.unpark(u)
		r.lease.Release()
	}
	u.arrived = nil
	if u.lease != nil {
		u.lease.Release()
		u.lease = nil
	}
}

// achieve notes that the fetch got on.
func (x *fetch) achieve() { x.progress = time.Now() }
