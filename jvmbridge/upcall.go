package jvmbridge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"weft/internal/metrics"
	"weft/internal/pb/bridgepb"
	"weft/shuffle"
	"weft/shuffle/mempool"
)

// upcall is one question, from OpenBlock until the JVM owes nothing and its asker was told. Its asker may be told before: then what the JVM still
// answers ends it.
type upcall struct {
	of    *upcalls
	id    uint64
	ctx   context.Context // of the asker
	began time.Time       // when he came

	// Under of.mu:
	done    func(shuffle.OwnedBlock, error) // tells the asker; nil: he was told
	unwatch func() bool                     // ends the watching of ctx
	owed    bool                            // the JVM is to answer
	opened  bool                            // it has answered OpenBlock
	lease   *mempool.Lease                  // the JVM writes to it until it has answered CopyBlock
}

// take is what tells the asker, for who does so now; nil: he was told. of.mu is held.
func (u *upcall) take() func(shuffle.OwnedBlock, error) {
	done := u.done
	if done != nil {
		u.done = nil
		u.unwatch()
	}
	return done
}

// end forgets the upcall, and takes. of.mu is held.
func (u *upcall) end() func(shuffle.OwnedBlock, error) {
	delete(u.of.open, u.id)
	<-u.of.slots
	return u.take()
}

// finish ends the upcall, of which the JVM holds a block open if held. No lock is held.
func (u *upcall) finish(held bool) func(shuffle.OwnedBlock, error) {
	c := u.of
	c.mu.Lock()
	defer c.mu.Unlock()
	if held {
		c.ses.out.send(&bridgepb.ToJvm{Kind: &bridgepb.ToJvm_CloseBlock{CloseBlock: &bridgepb.CloseBlock{UpcallId: u.id}}}, true)
	}
	return u.end()
}

// tell tells the asker. No lock is held.
func (u *upcall) tell(done func(shuffle.OwnedBlock, error), block shuffle.OwnedBlock, err error) {
	m := u.of.ses.server.metrics
	if err != nil {
		m.Upcalls(metrics.Failed).Inc()
	} else {
		m.Upcalls(metrics.OK).Inc()
		m.UpcallSeconds.Observe(time.Since(u.began).Seconds())
	}
	done(block, err)
}

// giveUp tells the asker that his ctx has ended. What the JVM owes ends the upcall.
func (u *upcall) giveUp() {
	u.of.mu.Lock()
	done := u.take()
	u.of.mu.Unlock()
	if done != nil {
		u.tell(done, shuffle.OwnedBlock{}, u.of.whyNot(u.ctx))
	}
}

// isOpened goes on with the JVM's answer to OpenBlock. Nothing is copied of a block that is not wanted any more.
func (u *upcall) isOpened(m *bridgepb.BlockOpened, wanted bool) {
	if result, ok := m.GetResult().(*bridgepb.BlockOpened_Length); ok && result.Length > 0 && wanted {
		u.copy(int(min(result.Length, math.MaxInt)))
		return
	}
	_, held := m.GetResult().(*bridgepb.BlockOpened_Length)
	done := u.finish(held)
	if done == nil {
		return
	}
	var block shuffle.OwnedBlock
	var err error
	switch result := m.GetResult().(type) {
	case *bridgepb.BlockOpened_Inline:
		block, err = u.of.inline(result.Inline)
	case *bridgepb.BlockOpened_File:
		block, err = fileBlock(result.File)
	case *bridgepb.BlockOpened_Length: // of no bytes
	default:
		err = upcallError(m.GetError())
	}
	u.tell(done, block, err)
}

// inline is a small block, which counts for its application until it is given back.
func (c *upcalls) inline(bytes []byte) (shuffle.OwnedBlock, error) {
	share, n := c.ses.server.opts.Quotas.Inline.Of(c.ses.app.ID), int64(len(bytes))
	if !share.Take(n) {
		return shuffle.OwnedBlock{}, shuffle.Errorf(shuffle.ReasonNoSpace,
			"the application's small blocks in memory that peers have not read are as many as its share (weft.app.share) allows")
	}
	return shuffle.OwnedBlock{Mem: bytes, Close: func() { share.Give(n) }}, nil
}

// copy has a block that the JVM holds open copied into memory, for which it may have to wait.
func (u *upcall) copy(length int) {
	if lease, ok := u.of.ses.upcall.TryTake(length); ok {
		u.copyInto(lease)
		return
	}
	u.of.running.Go(func() {
		lease, err := u.alloc(length)
		if err == nil {
			u.copyInto(lease)
		} else if done := u.finish(true); done != nil {
			u.tell(done, shuffle.OwnedBlock{}, err)
		}
	})
}

func (u *upcall) alloc(length int) (*mempool.Lease, error) {
	ses := u.of.ses
	ctx, cancel := context.WithTimeout(u.ctx, ses.server.opts.MemoryWait)
	defer cancel()
	lease, err := ses.upcall.Alloc(ctx, length)
	switch {
	case errors.Is(err, mempool.ErrTooLarge):
		return nil, shuffle.Errorf(shuffle.ReasonTooLarge, "upcall arena (weft.memory.upcall): %v", err)
	case errors.Is(err, mempool.ErrNoSpace):
		return nil, shuffle.Errorf(shuffle.ReasonNoSpace, "upcall arena (weft.memory.upcall): %v", err)
	case errors.Is(err, mempool.ErrClosed):
		return nil, errSessionEnded
	case err != nil:
		return nil, fmt.Errorf("upcall arena: %w", err)
	}
	return lease, nil
}

// copyInto asks the JVM to copy the block, unless nobody wants it any more.
func (u *upcall) copyInto(lease *mempool.Lease) {
	c := u.of
	c.mu.Lock()
	if u.done != nil && !c.ended {
		u.lease, u.owed = lease, true
		c.ses.out.send(&bridgepb.ToJvm{Kind: &bridgepb.ToJvm_CopyBlock{CopyBlock: &bridgepb.CopyBlock{
			UpcallId: u.id,
			Segment:  segmentOf(bridgepb.SegmentKind_SEGMENT_UPCALL, lease),
			Offset:   uint64(lease.Offset()),
			Checksum: c.ses.server.opts.Checksum,
		}}}, true)
		c.mu.Unlock()
		return
	}
	c.mu.Unlock()
	lease.Release()
	if done := u.finish(true); done != nil {
		u.tell(done, shuffle.OwnedBlock{}, errSessionEnded)
	}
}

// isCopied goes on with the JVM's answer to CopyBlock.
func (u *upcall) isCopied(m *bridgepb.BlockCopied) {
	done := u.finish(true)
	if done == nil {
		u.lease.Release()
		return
	}
	if words := m.GetError(); words != "" {
		u.lease.Release()
		u.tell(done, shuffle.OwnedBlock{}, shuffle.Errorf(shuffle.ReasonInternal, "the executor could not copy the block: %s", words))
		return
	}
	u.tell(done, shuffle.OwnedBlock{
		Mem: u.lease.Bytes(), MemFile: u.of.ses.files.of(u.lease.Region()), MemOffset: u.lease.Offset(), CRC: m.Checksum, Close: u.lease.Release,
	}, nil)
}

func fileBlock(f *bridgepb.FileRange) (shuffle.OwnedBlock, error) {
	if f.GetOffset() > math.MaxInt64 || f.GetLength() > math.MaxInt64 || f.GetPath() == "" {
		return shuffle.OwnedBlock{}, shuffle.Errorf(shuffle.ReasonInternal, "the executor named no range of a file")
	}
	return shuffle.OwnedBlock{Path: f.GetPath(), Offset: int64(f.GetOffset()), Length: int64(f.GetLength())}, nil
}

func upcallError(e *bridgepb.UpcallError) error {
	reason := shuffle.Reason(e.GetReason())
	if reason == shuffle.ReasonNone || reason.String() == "unknown" {
		reason = shuffle.ReasonInternal
	}
	return &shuffle.BlockError{Reason: reason, Detail: e.GetDetail()}
}
