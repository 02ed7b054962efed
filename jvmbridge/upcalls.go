package jvmbridge

import (
	"context"
	"fmt"
	"sync"
	"time"

	"weft/internal/metrics"
	"weft/internal/pb/bridgepb"
	"weft/shuffle"
)

// maxUpcalls is how many questions one JVM has at a time. One that it has not answered counts even after its asker gave up.
const maxUpcalls = 64

var errSessionEnded = shuffle.Errorf(shuffle.ReasonOwnerGone, "the executor's session with its daemon ended")

// maxInline is the most bytes of a block that go inside a frame, BlockOpened or Delivered (proto/bridge.proto).
const maxInline = 64 << 10

// upcalls are a session's questions for blocks. Nobody waits for an answer: who reads it off the socket goes on with the question.
type upcalls struct {
	ses     *session
	slots   chan struct{}
	running sync.WaitGroup // upcalls that wait for memory

	mu    sync.Mutex
	last  uint64
	open  map[uint64]*upcall
	ended bool
}

func (c *upcalls) init(ses *session) {
	c.ses, c.slots, c.open = ses, make(chan struct{}, maxUpcalls), map[uint64]*upcall{}
}

// wait returns when nothing of an upcall runs any more; after failAll.
func (c *upcalls) wait() { c.running.Wait() }

// OpenBlock implements shuffle.Owner: it asks the JVM for the block as it is now.
func (ses *session) OpenBlock(ctx context.Context, id shuffle.BlockID) (shuffle.OwnedBlock, error) {
	type answer struct {
		block shuffle.OwnedBlock
		err   error
	}
	c, got, began := &ses.upcalls, make(chan answer, 1), time.Now()
	if err := c.reserve(ctx); err != nil {
		ses.server.metrics.Upcalls(metrics.Failed).Inc()
		return shuffle.OwnedBlock{}, err
	}
	c.begin(ctx, id, began, func(block shuffle.OwnedBlock, err error) { got <- answer{block, err} })
	a := <-got
	return a.block, a.err
}

// AskBlock implements shuffle.Owner.
func (ses *session) AskBlock(ctx context.Context, id shuffle.BlockID, done func(shuffle.OwnedBlock, error)) bool {
	c := &ses.upcalls
	if !ses.out.isAttached() {
		return false
	}
	select {
	case c.slots <- struct{}{}:
		c.begin(ctx, id, time.Now(), done)
		return true
	default:
		return false
	}
}

// reserve waits for a slot, which the caller has then.
func (c *upcalls) reserve(ctx context.Context) error {
	select {
	case <-c.ses.attached:
	case <-ctx.Done():
		return c.whyNot(ctx)
	case <-c.ses.ctx.Done():
		return c.whyNot(ctx)
	}
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return c.whyNot(ctx)
	case <-c.ses.ctx.Done():
		return c.whyNot(ctx)
	}
}

// begin asks. The caller has a slot, which is the upcall's now.
func (c *upcalls) begin(ctx context.Context, id shuffle.BlockID, began time.Time, done func(shuffle.OwnedBlock, error)) {
	u := &upcall{of: c, ctx: ctx, began: began, done: done}
	c.mu.Lock()
	if c.ended {
		c.mu.Unlock()
		<-c.slots
		u.tell(done, shuffle.OwnedBlock{}, errSessionEnded)
		return
	}
	defer c.mu.Unlock()
	c.last++
	u.id, u.owed = c.last, true
	c.open[u.id] = u
	u.unwatch = context.AfterFunc(ctx, u.giveUp)
	c.ses.out.send(&bridgepb.ToJvm{Kind: &bridgepb.ToJvm_OpenBlock{OpenBlock: &bridgepb.OpenBlock{UpcallId: u.id, Name: id.String()}}}, true)
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
	u := c.open[m.GetUpcallId()]
	if u == nil || u.opened {
		c.mu.Unlock()
		return violationf("BlockOpened for upcall %d, which was not asked", m.GetUpcallId())
	}
	if n := len(m.GetInline()); n > maxInline {
		c.mu.Unlock()
		return violationf("BlockOpened with %d bytes; at most %d are sent so", n, maxInline)
	}
	u.opened, u.owed = true, false
	wanted := u.done != nil
	c.mu.Unlock()
	u.isOpened(m, wanted)
	return nil
}

// copied takes BlockCopied from the JVM; an error is a violation.
func (c *upcalls) copied(m *bridgepb.BlockCopied) error {
	c.mu.Lock()
	u := c.open[m.GetUpcallId()]
	if u == nil || u.lease == nil || !u.owed {
		c.mu.Unlock()
		return violationf("BlockCopied for upcall %d, which was not asked", m.GetUpcallId())
	}
	u.owed = false
	c.mu.Unlock()
	u.isCopied(m)
	return nil
}

// failAll ends the upcalls that the JVM will not answer any more, as the session has ended. Those it has answered end by themselves.
func (c *upcalls) failAll() {
	var unanswered []func()
	c.mu.Lock()
	c.ended = true
	for _, u := range c.open {
		if !u.owed {
			continue
		}
		if done := u.end(); done != nil {
			unanswered = append(unanswered, func() { u.tell(done, shuffle.OwnedBlock{}, errSessionEnded) })
		}
		if u.lease != nil {
			u.lease.Release()
		}
	}
	c.mu.Unlock()
	for _, tell := range unanswered {
		tell()
	}
}
