package mempool_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"weft/shuffle/mempool"
	"weft/shuffle/quota"
)

func heldArena(t *testing.T, budget *mempool.Budget, holder string) *mempool.Arena {
	t.Helper()
	a := mempool.NewArena(mempool.ArenaOptions{
		Backing: mempool.Heap{}, Budget: budget, Holder: holder, Purpose: holder, RegionSize: mib, Max: 16 * mib,
	})
	t.Cleanup(func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
		<-a.Done()
	})
	return a
}

// One holder takes all it gets, by two arenas, and keeps it; another one finds its share of what is left.
func TestHolderLeavesRoomForAnother(t *testing.T) {
	budget := mempool.NewBudgetOf(quota.New(8*mib, 75, nil))
	greedy := []*mempool.Arena{heldArena(t, budget, "greedy"), heldArena(t, budget, "greedy")}
	var leases []*mempool.Lease
	for i := 0; ; i++ {
		l, ok := greedy[i%2].TryAlloc(mib)
		if !ok {
			break
		}
		leases = append(leases, l)
	}
	if len(leases) != 6 {
		t.Errorf("one holder has %d of 8 MiB", len(leases))
	}
	other := heldArena(t, budget, "other")
	l, ok := other.TryAlloc(mib)
	if !ok {
		t.Fatal("nothing is left for another holder")
	}
	l.Release()
	for _, l := range leases {
		l.Release()
	}
}

// Waiting is of no use for a lease that a holder can never have.
func TestLeaseLargerThanTheShare(t *testing.T) {
	budget := mempool.NewBudgetOf(quota.New(8*mib, 50, nil))
	a := heldArena(t, budget, "a")
	if got := a.MaxLease(); got != 4*mib {
		t.Errorf("the largest lease has %d bytes", got)
	}
	if _, err := a.Alloc(t.Context(), 5*mib); !errors.Is(err, mempool.ErrTooLarge) {
		t.Errorf("5 of at most 4 MiB: %v", err)
	}
}

// Who has most does not take the empty regions of who has less, which would have to make them anew for each lease; the other way round he does.
func TestEmptyRegionsOfWhoHasLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // a region that nobody used for a while is taken: here no time passes
		budget := mempool.NewBudgetOf(quota.New(4*mib, 75, nil))
		greedy, modest := heldArena(t, budget, "greedy"), heldArena(t, budget, "modest")
		alloc(t, modest, mib).Release() // leaves a region
		one, two := alloc(t, greedy, mib), alloc(t, greedy, mib)
		if l, ok := greedy.TryAlloc(mib); ok {
			l.Release()
			t.Error("the greedy got more than 75 % of what the modest leaves")
		}
		if got := budget.Usage()["modest"].Allocated; got != mib {
			t.Errorf("the modest has %d bytes left", got)
		}
		one.Release()
		two.Release()
		l := alloc(t, modest, 2*mib)
		if got := budget.Usage()["greedy"].Allocated; got > mib {
			t.Errorf("the greedy keeps %d empty bytes that the modest needs", got)
		}
		l.Release()
	})
}

// Who has as much as the other, and waits while the other's regions become empty, gets them.
func TestEmptyRegionsOfWhoHasAsMuch(t *testing.T) {
	budget := mempool.NewBudgetOf(quota.New(4*mib, 100, nil))
	one, other := heldArena(t, budget, "one"), heldArena(t, budget, "other")
	var freed []*mempool.Lease
	for range 2 {
		freed = append(freed, alloc(t, one, mib))
		defer alloc(t, other, mib).Release()
	}
	for _, l := range freed {
		l.Release()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	l, err := other.Alloc(ctx, mib)
	if err != nil {
		t.Fatal(err)
	}
	l.Release()
}

type count int

func (c *count) Inc() { *c++ }

// An Alloc that gives up is counted as refused once, where it was the share that had no room.
func TestRefusalsAreCounted(t *testing.T) {
	var refused count
	budget := mempool.NewBudgetOf(quota.New(64*mib, 50, &refused))
	a, b := heldArena(t, budget, "app"), heldArena(t, budget, "app") // may have 16 each
	ended, end := context.WithCancel(t.Context())
	end()
	fill := func(arena *mempool.Arena) {
		t.Helper()
		for range 16 {
			l := alloc(t, arena, mib)
			t.Cleanup(l.Release)
		}
		if _, err := arena.Alloc(ended, mib); !errors.Is(err, mempool.ErrNoSpace) {
			t.Errorf("%v", err)
		}
	}
	fill(a)
	fill(b)
	if refused != 0 {
		t.Errorf("%d refusals were counted, where the arenas' own limits had no room", refused)
	}
	c := heldArena(t, budget, "app")
	if _, err := c.Alloc(ended, mib); !errors.Is(err, mempool.ErrNoSpace) || refused != 1 {
		t.Errorf("%v; %d refusals were counted", err, refused)
	}
}
