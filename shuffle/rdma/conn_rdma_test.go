//go:build rdma

package rdma

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weft/verbs"
	"weft/verbs/verbstest"
)

// Goroutines that read pieces of all sizes, many more than fit in the queue: each ends once, with its bytes.
func TestReadsOfAllSizes(t *testing.T) {
	const size, readers, each = 8 << 20, 8, 400
	e := newEnds(t, size, Options{})
	c := e.dial(t)
	var wg sync.WaitGroup
	for i := range readers {
		wg.Go(func() {
			// Each has a part of its own, so that what it reads is there once.
			start, part := i*size/readers, size/readers
			rng := rand.New(rand.NewPCG(uint64(i), 7))
			var reads []Read
			var ended sync.WaitGroup
			for off := 0; off < part; {
				n := min(1+rng.IntN(2*part/each), part-off)
				ended.Add(1)
				var times atomic.Int32
				reads = append(reads, e.read(start+off, n, func(err error) {
					if err != nil || times.Add(1) != 1 {
						t.Errorf("a READ of %d bytes: %v", n, err)
					}
					ended.Done()
				}))
				off += n
			}
			for len(reads) > 0 {
				n := min(1+rng.IntN(40), len(reads))
				c.Read(reads[:n]...)
				reads = reads[n:]
			}
			ended.Wait()
		})
	}
	wg.Wait()
	if !bytes.Equal(e.source, e.target) {
		t.Error("the bytes differ")
	}
}

// Under load one call into C begins and ends many READs.
func TestFewCallsForManyReads(t *testing.T) {
	e := newEnds(t, 1<<20, Options{})
	c := e.dial(t)
	const count = 4096
	reads := make([]Read, count)
	var ended sync.WaitGroup
	ended.Add(count)
	for i := range reads {
		reads[i] = e.read(i%256*4096, 4096, func(error) { ended.Done() })
	}
	polls := e.device.comp.polls.Load()
	c.Read(reads...)
	ended.Wait()
	posts := c.queue.posts.Load()
	if n := c.queue.reads.Load(); n != count {
		t.Errorf("%d READs, want %d", n, count)
	}
	if posts > count/16 {
		t.Errorf("%d calls to post %d READs", posts, count)
	}
	t.Logf("%d READs: %d calls to post, %d to poll, %d sleeps", count, posts, e.device.comp.polls.Load()-polls, e.device.comp.waits.Load())
}

// Thousands of connections, one after the other and some at a time: nothing stays behind, which the harness checks, and the device's resources
// are what they were, which scripts/test-rdma checks.
func TestTenThousandConnections(t *testing.T) {
	e := newEnds(t, 1<<20, Options{Connections: 16})
	const goroutines, each = 4, 2500
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := range each {
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				c, err := e.device.Dial(ctx, e.reader, e.listener.Addr(), e.offer(t))
				cancel()
				if err != nil {
					t.Errorf("connection %d: %v", i, err)
					return
				}
				if i%10 == 0 {
					ended := make(chan error, 1)
					c.Read(e.read(g<<16, 1<<16, func(err error) { ended <- err }))
					if err := result(t, ended); err != nil {
						t.Errorf("READ by connection %d: %v", i, err)
					}
				}
				if err := c.Close(); err != nil {
					t.Errorf("closing connection %d: %v", i, err)
				}
			}
		})
	}
	wg.Wait()
	for end := time.Now().Add(limit); e.listener.Readers() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d readers are left", e.listener.Readers())
		}
	}
}

// The first error is the cause of all: nothing behind it is delivered, each READ ends once.
func TestARefusedReadEndsTheConnection(t *testing.T) {
	e := newEnds(t, 1<<20, Options{Reads: 8})
	c := e.dial(t)
	const count = 100
	ended := make(chan error, count)
	reads := make([]Read, count)
	for i := range reads {
		reads[i] = e.read(i*4096, 4096, func(err error) { ended <- err })
	}
	reads[20].Remote.RKey ^= 0x5a00
	c.Read(reads...)
	for i := range count {
		err := result(t, ended)
		switch {
		case i < 20 && err != nil:
			t.Errorf("READ %d before the wrong one: %v", i, err)
		case i >= 20 && !errors.Is(err, verbs.WCRemAccessErr):
			t.Errorf("READ %d: %v, want the cause of all", i, err)
		}
	}
	within(t, c.Gone(), "the end of the connection")
	if !bytes.Equal(e.target[:20*4096], e.source[:20*4096]) || !bytes.Equal(e.target[20*4096:], make([]byte, len(e.target)-20*4096)) {
		t.Error("not the bytes of the READs before the wrong one, and no others")
	}
	c.Read(e.read(0, 1, func(err error) { ended <- err }))
	if err := result(t, ended); !errors.Is(err, verbs.WCRemAccessErr) {
		t.Errorf("a READ after the end: %v", err)
	}
}

// The queue pair breaks in the middle: what has not arrived was flushed.
func TestQueuePairBreaks(t *testing.T) {
	e := newEnds(t, 16<<20, Options{})
	c := e.dial(t)
	all := e.flood(t, c, func() {
		if err := c.qp.ToError(); err != nil {
			t.Error(err)
		}
	})
	if n := number(all, nil); n == 0 || n != number(all, verbs.WCWRFlushErr) {
		t.Errorf("%d READs failed, %d of them because they were flushed", n, number(all, verbs.WCWRFlushErr))
	}
	within(t, c.Gone(), "the end of the connection")
}

// Close with READs under way: all have ended when it returns.
func TestCloseEndsWhatIsUnderWay(t *testing.T) {
	e := newEnds(t, 16<<20, Options{})
	c := e.dial(t)
	all := e.flood(t, c, func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if n := len(c.queue.ids()); n > 0 {
			t.Errorf("%d READs are in flight after Close", n)
		}
	})
	if number(all, errClosed) == 0 {
		t.Error("nothing was under way")
	}
}

// The owner ends a reader's connection in the middle of its READs: they end, and what follows fails.
func TestExpelledReader(t *testing.T) {
	e := newEnds(t, 16<<20, Options{})
	c, other := e.dial(t), e.dial(t)
	unused := e.offer(t)
	all := e.flood(t, c, func() {
		e.listener.Expel(e.owner)
		if n := e.listener.Readers(); n != 0 {
			t.Errorf("%d readers are left", n)
		}
	})
	if number(all, nil) == 0 {
		t.Error("all READs came through: nothing was under way")
	}
	within(t, c.Gone(), "the end of the first connection")
	within(t, other.Gone(), "the end of the second connection")
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := e.device.Dial(ctx, e.reader, e.listener.Addr(), unused); err == nil || !strings.Contains(err.Error(), "refused: "+errToken.Error()) {
		t.Errorf("a token given out before: %v", err)
	}
}

func TestTokens(t *testing.T) {
	e := newEnds(t, 4096, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	token := e.offer(t)
	c, err := e.device.Dial(ctx, e.reader, e.listener.Addr(), token)
	if err != nil {
		t.Fatal(err)
	}
	defer verbstest.Close(t, c)
	for name, bad := range map[string]Token{"used": token, "made up": {1, 2, 3}} {
		if _, err := e.device.Dial(ctx, e.reader, e.listener.Addr(), bad); err == nil || !strings.Contains(err.Error(), "refused: its token is unknown, used, or too old") {
			t.Errorf("a token that is %s: %v", name, err)
		}
	}
	if n := e.listener.Readers(); n != 1 {
		t.Errorf("%d readers", n)
	}
	e.listener.life = -time.Second
	if _, err := e.device.Dial(ctx, e.reader, e.listener.Addr(), e.offer(t)); err == nil || !strings.Contains(err.Error(), "too old") {
		t.Errorf("a token that is too old: %v", err)
	}
}

// What is closed in the wrong order is refused, and goes on.
func TestClosedInTheWrongOrder(t *testing.T) {
	e := newEnds(t, 4096, Options{})
	c := e.dial(t)
	if err := e.device.Close(); !errors.Is(err, verbs.ErrInUse) {
		t.Errorf("closing a device in use: %v", err)
	}
	ended := make(chan error, 1)
	c.Read(e.read(0, 4096, func(err error) { ended <- err }))
	if err := result(t, ended); err != nil {
		t.Errorf("a READ after that: %v", err)
	}
	gone, err := e.device.ctx.AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	verbstest.Close(t, gone)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := e.device.Dial(ctx, gone, e.listener.Addr(), e.offer(t)); !errors.Is(err, verbs.ErrClosed) {
		t.Errorf("dialling with a closed domain: %v", err)
	}
	e.dial(t)
}

// What was offered over a control connection ends with it, used or not; what others were offered does not.
func TestWithdrawnTokens(t *testing.T) {
	e := newEnds(t, 4096, Options{})
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	used, unused := e.offer(t), e.offer(t)
	c, err := e.device.Dial(ctx, e.reader, e.listener.Addr(), used)
	if err != nil {
		t.Fatal(err)
	}
	defer verbstest.Close(t, c)
	other := e.dial(t)
	e.listener.Withdraw(used)
	e.listener.Withdraw(unused)
	within(t, c.Gone(), "the end of the connection")
	if _, err := e.device.Dial(ctx, e.reader, e.listener.Addr(), unused); err == nil || !strings.Contains(err.Error(), errToken.Error()) {
		t.Errorf("a token that was withdrawn: %v", err)
	}
	ended := make(chan error, 1)
	other.Read(e.read(0, 4096, func(err error) { ended <- err }))
	if err := result(t, ended); err != nil || e.listener.Readers() != 1 {
		t.Errorf("another connection: %v; %d readers", err, e.listener.Readers())
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	e := newEnds(t, 4096, Options{Connections: 1})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	vacant := e.listener.Addr().Addr().As4()
	vacant[3] = 254
	begin := time.Now()
	_, err := e.device.Dial(ctx, e.reader, netip.AddrPortFrom(netip.AddrFrom4(vacant), 1), Token{})
	if err == nil || time.Since(begin) > limit/2 {
		t.Errorf("a host that is not there: %v after %v", err, time.Since(begin))
	}
	ctx, cancel = context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := e.device.Dial(ctx, e.reader, netip.AddrPortFrom(e.listener.Addr().Addr(), 1), Token{}); err == nil ||
		!strings.Contains(err.Error(), "nobody listens there") {
		t.Errorf("a port that nobody listens on: %v", err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.device.Dial(canceled, e.reader, e.listener.Addr(), e.offer(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	e.dial(t) // what failed took no room
}

func TestNoMoreConnectionsThanTheQueueHolds(t *testing.T) {
	e := newEnds(t, 4096, Options{Connections: 1, Reads: 16})
	e.dial(t)
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	if _, err := e.device.Dial(ctx, e.reader, e.listener.Addr(), e.offer(t)); err == nil || !strings.Contains(err.Error(), "has no room") {
		t.Errorf("a second connection: %v", err)
	}
}

// Reading allocates nothing in the steady state.
func TestReadsAllocateNothing(t *testing.T) {
	e := newEnds(t, 1<<20, Options{})
	c := e.dial(t)
	const count = 32
	ended := make(chan struct{}, count)
	reads := make([]Read, count)
	for i := range reads {
		reads[i] = e.read(i*4096, 4096, func(error) { ended <- struct{}{} })
	}
	allocated := testing.AllocsPerRun(1000, func() {
		c.Read(reads...)
		for range count {
			<-ended
		}
	})
	if allocated > 0 {
		t.Errorf("%v allocations for %d READs", allocated, count)
	}
}
