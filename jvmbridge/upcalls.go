package jvmbridge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"weft/internal/metrics"
	"weft/internal/pb/bridgepb"
	"weft/shuffle"
	"weft/shuffle/mempool"
)

// maxUpcalls is how many questions one JVM has at a time. One that it has not answered counts even after its asker gave up.
const maxUpcalls = 64

var errSessionEnded = shuffle.Errorf(shuffle.ReasonOwnerGone, "the executor's session with its daemon ended")

// maxInline is the most bytes that a JVM sends in BlockOpened (proto/bridge.proto).
const maxInline = 64 << 10

// upcalls are a session's questions for blocks.
type upcalls struct {
	ses   *session
	slots chan struct{}

	mu    sync.Mutex
	last  uint64
	open  map[uint64]*upcall
	ended bool
}

// upcall is one question, from OpenBlock until the JVM has answered all that it was asked. Its fields are under upcalls.mu until the answer
// in question has come, then the asker's.
type upcall struct {
	id        uint64
	opened    *bridgepb.BlockOpened
	isOpened  chan struct{}
	lease     *mempool.Lease // the JVM may write to it until copied
	copied    *bridgepb.BlockCopied
	isCopied  chan struct{}
	abandoned bool // the asker is gone
}

func (c *upcalls) init(ses *session) {
	c.ses, c.slots, c.open = ses, make(chan struct{}, maxUpcalls), map[uint64]*upcall{}
}

// OpenBlock implements shuffle.Owner: it asks the JVM for the block as it is now.
func (ses *session) OpenBlock(ctx context.Context, id shuffle.BlockID) (shuffle.OwnedBlock, error) {
	began := time.Now()
	block, err := ses.upcalls.ask(ctx, id.String())
	if err != nil {
		ses.server.metrics.Upcalls(metrics.Failed).Inc()
		return shuffle.OwnedBlock{}, err
	}
	ses.server.metrics.Upcalls(metrics.OK).Inc()
	ses.server.metrics.UpcallSeconds.Observe(time.Since(began).Seconds())
	return block, nil
}

func (c *upcalls) ask(ctx context.Context, name string) (shuffle.OwnedBlock, error) {
	select {
	case <-c.ses.attached:
	case <-ctx.Done():
		return shuffle.OwnedBlock{}, c.whyNot(ctx)
	case <-c.ses.ctx.Done():
		return shuffle.OwnedBlock{}, c.whyNot(ctx)
	}
	select {
	case c.slots <- struct{}{}:
	case <-ctx.Done():
		return shuffle.OwnedBlock{}, c.whyNot(ctx)
	case <-c.ses.ctx.Done():
		return shuffle.OwnedBlock{}, c.whyNot(ctx)
	}
	u := c.begin(name)
	if err := c.await(ctx, u, u.isOpened); err != nil {
		return shuffle.OwnedBlock{}, err
	}
	switch result := u.opened.GetResult().(type) {
	case *bridgepb.BlockOpened_Inline:
		c.forget(u)
		return c.inline(result.Inline)
	case *bridgepb.BlockOpened_File:
		c.forget(u)
		return fileBlock(result.File)
	case *bridgepb.BlockOpened_Length:
		return c.copy(ctx, u, result.Length)
	default:
		c.forget(u)
		return shuffle.OwnedBlock{}, upcallError(u.opened.GetError())
	}
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

// copy gets the bytes of a block that the JVM holds open.
func (c *upcalls) copy(ctx context.Context, u *upcall, length uint64) (shuffle.OwnedBlock, error) {
	if length == 0 {
		c.close(u)
		return shuffle.OwnedBlock{}, nil
	}
	lease, err := c.alloc(ctx, length)
	if err != nil {
		c.close(u)
		return shuffle.OwnedBlock{}, err
	}
	c.mu.Lock()
	u.lease = lease
	c.mu.Unlock()
	c.ses.out.send(&bridgepb.ToJvm{Kind: &bridgepb.ToJvm_CopyBlock{CopyBlock: &bridgepb.CopyBlock{
		UpcallId: u.id,
		Segment:  segmentOf(bridgepb.SegmentKind_SEGMENT_UPCALL, lease),
		Offset:   uint64(lease.Offset()),
		Checksum: c.ses.server.opts.Checksum,
	}}}, true)
	if err := c.await(ctx, u, u.isCopied); err != nil {
		return shuffle.OwnedBlock{}, err // the lease stays out until the JVM's copy has ended
	}
	c.close(u)
	if words := u.copied.GetError(); words != "" {
		lease.Release()
		return shuffle.OwnedBlock{}, shuffle.Errorf(shuffle.ReasonInternal, "the executor could not copy the block: %s", words)
	}
	return shuffle.OwnedBlock{
		Mem: lease.Bytes(), MemFile: c.ses.files.of(lease.Region()), MemOffset: lease.Offset(), CRC: u.copied.Checksum, Close: lease.Release,
	}, nil
}

func (c *upcalls) alloc(ctx context.Context, length uint64) (*mempool.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, c.ses.server.opts.MemoryWait)
	defer cancel()
	lease, err := c.ses.upcall.Alloc(ctx, int(min(length, math.MaxInt)))
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

// begin asks. The caller has a slot.
func (c *upcalls) begin(name string) *upcall {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last++
	u := &upcall{id: c.last, isOpened: make(chan struct{}), isCopied: make(chan struct{})}
	c.open[u.id] = u
	c.ses.out.send(&bridgepb.ToJvm{Kind: &bridgepb.ToJvm_OpenBlock{OpenBlock: &bridgepb.OpenBlock{UpcallId: u.id, Name: name}}}, true)
	return u
}

// await waits for an answer. On an error the upcall is the reader's: the JVM's late answer ends it.
func (c *upcalls) await(ctx context.Context, u *upcall, answer chan struct{}) error {
	select {
	case <-answer:
		return nil
	case <-ctx.Done():
	case <-c.ses.ctx.Done():
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-answer:
		return nil
	default:
	}
	u.abandoned = true
	if c.ended {
		c.drop(u)
	}
	return c.whyNot(ctx)
}

// whyNot is the error of an asker that did not get an answer.
func (c *upcalls) whyNot(ctx context.Context) error {
	if c.ses.ctx.Err() != nil {
		return errSessionEnded
	}
	return fmt.Errorf("the executor did not answer: %w", context.Cause(ctx))
}

// opened takes BlockOpened from the JVM; an error is a violation.
func (c *upcalls) opened(m *bridgepb.BlockOpened) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.open[m.GetUpcallId()]
	if u == nil || u.opened != nil {
		return violationf("BlockOpened for upcall %d, which was not asked", m.GetUpcallId())
	}
	if n := len(m.GetInline()); n > maxInline {
		return violationf("BlockOpened with %d bytes; at most %d are sent so", n, maxInline)
	}
	u.opened = m
	close(u.isOpened)
	if u.abandoned {
		if _, held := m.GetResult().(*bridgepb.BlockOpened_Length); held {
			c.sendClose(u)
		}
		c.drop(u)
	}
	return nil
}

// copied takes BlockCopied from the JVM; an error is a violation.
func (c *upcalls) copied(m *bridgepb.BlockCopied) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	u := c.open[m.GetUpcallId()]
	if u == nil || u.lease == nil || u.copied != nil {
		return violationf("BlockCopied for upcall %d, which was not asked", m.GetUpcallId())
	}
	u.copied = m
	close(u.isCopied)
	if u.abandoned {
		c.sendClose(u)
		c.drop(u)
	}
	return nil
}

// close tells the JVM that the block is needed no more, and forgets the upcall.
func (c *upcalls) close(u *upcall) {
	c.sendClose(u)
	c.forget(u)
}

func (c *upcalls) sendClose(u *upcall) {
	c.ses.out.send(&bridgepb.ToJvm{Kind: &bridgepb.ToJvm_CloseBlock{CloseBlock: &bridgepb.CloseBlock{UpcallId: u.id}}}, false)
}

func (c *upcalls) forget(u *upcall) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.open, u.id)
	<-c.slots
}

// drop forgets an abandoned upcall that the JVM has nothing to do with any more. mu is held.
func (c *upcalls) drop(u *upcall) {
	delete(c.open, u.id)
	<-c.slots
	if u.lease != nil {
		u.lease.Release()
	}
}

// failAll ends the upcalls of a session that has ended: its context woke their askers.
func (c *upcalls) failAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	for _, u := range c.open {
		if u.abandoned {
			c.drop(u)
		}
	}
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
