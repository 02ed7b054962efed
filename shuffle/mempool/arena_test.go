package mempool_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"weft/internal/invariants"
	"weft/shuffle/mempool"
)

const mib = 1 << 20

func newArena(t *testing.T, budget *mempool.Budget, purpose string, region, maxBytes int64) *mempool.Arena {
	t.Helper()
	a := mempool.NewArena(mempool.ArenaOptions{
		Backing: mempool.Heap{}, Budget: budget, Purpose: purpose, RegionSize: region, Max: maxBytes,
	})
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		<-a.Done()
	})
	return a
}

func alloc(t *testing.T, a *mempool.Arena, n int) *mempool.Lease {
	t.Helper()
	l, err := a.Alloc(t.Context(), n)
	if err != nil {
		t.Fatalf("Alloc(%d): %v", n, err)
	}
	return l
}

func TestAllocSaysWhyNot(t *testing.T) {
	a := newArena(t, mempool.NewBudget(8*mib), "x", mib, 4*mib)
	if got := a.MaxLease(); got != 4*mib {
		t.Errorf("MaxLease() = %d, want %d", got, 4*mib)
	}
	if _, err := a.Alloc(t.Context(), 4*mib+1); !errors.Is(err, mempool.ErrTooLarge) {
		t.Errorf("more than MaxLease: %v, want ErrTooLarge", err)
	}
	l := alloc(t, a, 4*mib)
	defer l.Release()
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := a.Alloc(ctx, 1)
	if !errors.Is(err, mempool.ErrNoSpace) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("full arena: %v, want ErrNoSpace because of the deadline", err)
	}
	if _, ok := a.TryAlloc(1); ok {
		t.Error("TryAlloc found room in a full arena")
	}
}

// TryTake says no to what can't be, in an arena with room.
func TestTryTake(t *testing.T) {
	a := newArena(t, mempool.NewBudget(8*mib), "x", mib, 4*mib)
	if _, ok := a.TryTake(1); ok {
		t.Error("a lease in an arena without memory")
	}
	alloc(t, a, 1).Release()
	for _, n := range []int{mib + 1, mempool.MaxRegion, mempool.MaxRegion + 1, math.MaxInt - 4095, math.MaxInt} {
		if _, ok := a.TryTake(n); ok {
			t.Errorf("a lease of %d bytes", n)
		}
	}
	l, ok := a.TryTake(mib)
	if !ok || l.Len() != mib {
		t.Fatal("no lease of all that there is")
	}
	l.Release()
}

func TestTrySpare(t *testing.T) {
	a := heldArena(t, mempool.NewBudget(mib), "a")
	if _, ok := a.TrySpare(1); ok {
		t.Error("a lease from an arena without memory")
	}
	alloc(t, a, 1).Release()
	for i := range int64(4) { // one behind the other, though each had been large
		l, ok := a.TrySpare(64 << 10)
		if !ok || l.Offset() != i*128 {
			t.Fatalf("a sixteenth of the memory, with %d leases: %v", i, ok)
		}
		l.Trim(100)
		defer l.Release()
	}
	if _, ok := a.TrySpare(64 << 10); ok {
		t.Error("a fifth lease of a sixteenth, of a quarter")
	}
	defer alloc(t, a, 200<<10).Release()
	if _, ok := a.TrySpare(60 << 10); ok {
		t.Error("more than a quarter was leased")
	}
	l, ok := a.TrySpare(20 << 10)
	if !ok {
		t.Fatal("there was no lease within the quarter")
	}
	l.Release()
}

func TestWaitersAreServedInOrder(t *testing.T) {
	a := newArena(t, mempool.NewBudget(mib), "x", mib, mib)
	hold := []*mempool.Lease{alloc(t, a, 512<<10), alloc(t, a, 512<<10)}
	order := make(chan int, 8)
	var wg sync.WaitGroup
	for i, n := range []int{mib, 64, 1000, 64 << 10} { // the first needs everything, the others would fit earlier
		entered := make(chan struct{})
		wg.Go(func() {
			ctx := &notifyingContext{Context: t.Context(), entered: entered}
			l, err := a.Alloc(ctx, n)
			if err != nil {
				t.Error(err)
				return
			}
			order <- i
			l.Release()
		})
		<-entered // it waits now
	}
	hold[0].Release()
	select {
	case i := <-order:
		t.Fatalf("waiter %d overtook the first one, for which there is no room yet", i)
	case <-time.After(10 * time.Millisecond):
	}
	hold[1].Release()
	wg.Wait()
	if first := <-order; first != 0 {
		t.Errorf("waiter %d was served first", first)
	}
}

// notifyingContext tells when Alloc begins to wait for it.
type notifyingContext struct {
	context.Context
	entered chan struct{}
	once    sync.Once
}

func (c *notifyingContext) Done() <-chan struct{} {
	c.once.Do(func() { close(c.entered) })
	return c.Context.Done()
}

func TestGivingUpLetsTheNextWaiterThrough(t *testing.T) {
	a := newArena(t, mempool.NewBudget(mib), "x", mib, mib)
	hold := alloc(t, a, 512<<10)
	defer hold.Release()
	ctx, cancel := context.WithCancel(t.Context())
	large := &notifyingContext{Context: ctx, entered: make(chan struct{})}
	small := &notifyingContext{Context: t.Context(), entered: make(chan struct{})}
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := a.Alloc(large, mib); !errors.Is(err, mempool.ErrNoSpace) {
			t.Errorf("cancelled Alloc: %v", err)
		}
	})
	<-large.entered
	wg.Go(func() {
		l, err := a.Alloc(small, 64)
		if err != nil {
			t.Error(err)
			return
		}
		l.Release()
	})
	<-small.entered
	cancel()
	wg.Wait()
}

func TestEmptyRegionsGoToArenasThatNeedThem(t *testing.T) {
	budget := mempool.NewBudget(2 * mib)
	a := newArena(t, budget, "a", mib, 2*mib)
	b := newArena(t, budget, "b", mib, 2*mib)
	one, two := alloc(t, a, mib), alloc(t, a, mib)

	// b waits while a uses everything, and gets the region that a empties.
	got := make(chan *mempool.Lease)
	ctx := &notifyingContext{Context: t.Context(), entered: make(chan struct{})}
	go func() {
		l, err := b.Alloc(ctx, mib)
		if err != nil {
			t.Error(err)
		}
		got <- l
	}()
	<-ctx.entered
	two.Release()
	l := <-got
	want := map[string]mempool.Usage{
		"a": {Allocated: mib, Leased: mib, Leases: 1},
		"b": {Allocated: mib, Leased: mib, Leases: 1},
	}
	if got := budget.Usage(); got["a"] != want["a"] || got["b"] != want["b"] {
		t.Errorf("usage is %+v, want %+v", got, want)
	}

	// Empty already when b asks.
	one.Release()
	l2 := alloc(t, b, mib)
	if got := budget.Usage()["a"].Allocated; got != 0 {
		t.Errorf("a still has %d bytes that b needs", got)
	}
	l.Release()
	l2.Release()
}

func TestOwnEmptyRegionsMakeWayForALargerLease(t *testing.T) {
	a := newArena(t, mempool.NewBudget(16*mib), "x", mib, 4*mib)
	var small []*mempool.Lease
	for range 4 {
		small = append(small, alloc(t, a, mib/2+1))
	}
	regions := map[uint32]bool{}
	for _, l := range small {
		regions[l.Region()] = true
		l.Release()
	}
	l := alloc(t, a, 3*mib)
	defer l.Release()
	if regions[l.Region()] {
		t.Errorf("region number %d was used again", l.Region())
	}
}

func TestAPartOfARegionIsBetterThanNone(t *testing.T) {
	budget := mempool.NewBudget(3 * mib)
	a := newArena(t, budget, "a", 2*mib, 8*mib)
	l1, l2 := alloc(t, a, 2*mib), alloc(t, a, mib)
	if got := budget.Usage()["a"].Allocated; got != 3*mib {
		t.Errorf("allocated %d bytes, want all %d of the budget", got, 3*mib)
	}
	l1.Release()
	l2.Release()
}

func TestCloseFailsWaitersAndKeepsLeasedRegions(t *testing.T) {
	budget := mempool.NewBudget(mib)
	a := newArena(t, budget, "x", mib, mib)
	l := alloc(t, a, mib)
	copy(l.Bytes(), "still read by somebody")
	ctx := &notifyingContext{Context: t.Context(), entered: make(chan struct{})}
	failed := make(chan error)
	go func() {
		_, err := a.Alloc(ctx, 64)
		failed <- err
	}()
	<-ctx.entered
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := <-failed; !errors.Is(err, mempool.ErrClosed) {
		t.Errorf("waiter: %v, want ErrClosed", err)
	}
	if _, err := a.Alloc(t.Context(), 64); !errors.Is(err, mempool.ErrClosed) {
		t.Errorf("Alloc after Close: %v, want ErrClosed", err)
	}
	select {
	case <-a.Done():
		t.Fatal("done while a lease is out")
	default:
	}
	mem := l.Bytes()
	l.Release()
	<-a.Done()
	if string(mem[:5]) != "still" {
		t.Error("memory of a closed arena was poisoned; its reader may not have seen the end yet")
	}
	if u := budget.Usage()["x"]; u != (mempool.Usage{}) {
		t.Errorf("usage after the end: %+v", u)
	}
}

type fakeDevice struct {
	log  []string
	fail bool
}

func (d *fakeDevice) Register(mem []byte) (mempool.Registration, error) {
	if d.fail {
		return nil, errors.New("no more memory regions")
	}
	d.log = append(d.log, fmt.Sprintf("register %d", len(mem)))
	return d, nil
}

func (d *fakeDevice) Close() error { d.log = append(d.log, "deregister"); return nil }

func (d *fakeDevice) NewRegion(number uint32, size int64) ([]byte, func() error, error) {
	d.log = append(d.log, fmt.Sprintf("map region %d", number))
	return make([]byte, size), func() error { d.log = append(d.log, "unmap"); return nil }, nil
}

func TestRegistrationsLiveWithinTheMemory(t *testing.T) {
	d := &fakeDevice{}
	budget := mempool.NewBudget(mib)
	a := mempool.NewArena(mempool.ArenaOptions{Backing: d, Budget: budget, RegionSize: mib, Max: mib, Registrars: []mempool.Registrar{d}})
	alloc(t, a, 64).Release()
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if want := []string{"map region 0", "register 1048576", "deregister", "unmap"}; !slices.Equal(d.log, want) {
		t.Errorf("order %q, want %q", d.log, want)
	}
}

func TestFailingRegistrarFailsTheAllocAndLeavesNothing(t *testing.T) {
	d := &fakeDevice{fail: true}
	budget := mempool.NewBudget(mib)
	a := mempool.NewArena(mempool.ArenaOptions{Backing: d, Budget: budget, RegionSize: mib, Max: mib, Registrars: []mempool.Registrar{d}})
	if _, err := a.Alloc(t.Context(), 64); err == nil || errors.Is(err, mempool.ErrNoSpace) {
		t.Errorf("Alloc: %v, want the registrar's error", err)
	}
	if want := []string{"map region 0", "unmap"}; !slices.Equal(d.log, want) {
		t.Errorf("order %q, want %q", d.log, want)
	}
	d.fail = false
	alloc(t, a, mib).Release() // the budget was given back
	if err := a.Close(); err != nil {
		t.Error(err)
	}
}

func TestTooManyReleases(t *testing.T) {
	budget := mempool.NewBudget(mib)
	a := newArena(t, budget, "x", mib, mib)
	l := alloc(t, a, 64)
	l.Release()
	defer func() {
		if panicked := recover() != nil; panicked != invariants.Enabled {
			t.Errorf("panicked: %v, want %v", panicked, invariants.Enabled)
		}
		if u := budget.Usage()["x"]; u.Leases != 0 || u.Leased != 0 {
			t.Errorf("freed twice: %+v", u)
		}
	}()
	l.Release()
}

// Many goroutines, two arenas, a budget that is too small for both: nobody's memory is another's, and nobody starves.
func TestManyGoroutines(t *testing.T) {
	budget := mempool.NewBudget(3 * mib)
	arenas := []*mempool.Arena{newArena(t, budget, "a", mib, 2*mib), newArena(t, budget, "b", mib, 2*mib)}
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(g)))
			for range 300 {
				n := 1 + rnd.IntN(300<<10)
				l, err := arenas[g%2].Alloc(t.Context(), n)
				if err != nil {
					t.Errorf("Alloc(%d): %v", n, err)
					return
				}
				mem := l.Bytes()
				for i := 0; i < len(mem); i += 64 {
					mem[i] = byte(g)
				}
				if rnd.IntN(2) == 0 {
					l.Trim(1 + rnd.IntN(n))
					mem = l.Bytes()
				}
				l.Retain(2)
				l.Release()
				for i := 0; i < len(mem); i += 64 {
					if mem[i] != byte(g) {
						t.Errorf("byte %d of a lease was written by goroutine %d", i, mem[i])
						break
					}
				}
				l.ReleaseShares(2)
			}
		})
	}
	wg.Wait()
}
