package mempool

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"weft/internal/invariants"
)

// MaxRegion is the most bytes that a region, and so a lease, can have.
const MaxRegion = 1 << 30

// hugePage is the size that large regions are rounded to, so that a Backing can use huge pages.
const hugePage = 2 << 20

// ArenaOptions say what an arena is made of.
type ArenaOptions struct {
	Backing    Backing
	Budget     *Budget
	Holder     string // whose bytes they are, as the budget divides them
	Purpose    string // the word under which the budget counts it
	RegionSize int64  // bytes by which the arena grows, unless one lease needs more
	Max        int64  // the most bytes that it may have
	Registrars []Registrar
	Gauges     Gauges // may be left out
}

// Arena is the memory of one session for one purpose. It begins empty and grows by regions when there is no room. A region
// without leases is given up when another arena finds the budget exhausted. Its methods may be called from many goroutines.
type Arena struct {
	opts  ArenaOptions
	usage usage
	done  chan struct{}
	kicks chan struct{} // one token: some waiter ought to try grow again

	kicking atomic.Bool // kickAfter is under way
	short   atomic.Bool // it was the budget that had no room the last time it was to grow, not its own limit

	mu      sync.Mutex
	regions []*region // in order of their numbers
	next    uint32
	total   int64 // bytes of regions
	live    int   // regions, and those that are on their way out
	waiters []*waiter
	growing bool // one goroutine is inside grow
	again   bool // it was asked to look once more
	closed  bool
}

type waiter struct {
	n     int64
	lease *Lease
	err   error
	ready chan struct{} // closed when lease or err is set
}

// NewArena returns an arena without any memory yet. RegionSize is rounded up and Max down to pages.
func NewArena(opts ArenaOptions) *Arena {
	opts.RegionSize = min(roundUp(opts.RegionSize, largeAlign), MaxRegion)
	opts.Max &^= largeAlign - 1
	a := &Arena{opts: opts, done: make(chan struct{}), kicks: make(chan struct{}, 1)}
	a.usage.gauges = opts.Gauges
	opts.Budget.join(a)
	return a
}

// MaxLease returns the most bytes that Alloc can ever give.
func (a *Arena) MaxLease() int64 {
	return min(a.opts.Max, a.opts.Budget.bytes.Alone()&^(largeAlign-1), MaxRegion)
}

// Max returns the most bytes that the arena may have.
func (a *Arena) Max() int64 { return a.opts.Max }

// Alloc leases n bytes with one share, which the caller owns. Callers are served in the order in which they came. It waits
// until ctx ends (making a region may take a little longer) and returns ErrNoSpace, ErrTooLarge or ErrClosed, or
// what Backing or a Registrar failed with.
func (a *Arena) Alloc(ctx context.Context, n int) (*Lease, error) {
	if int64(n) > a.MaxLease() {
		return nil, fmt.Errorf("%w: %d bytes, the most is %d (raise weft.memory.session, weft.memory.max or weft.app.share)", ErrTooLarge, n, a.MaxLease())
	}
	l, w, err := a.tryOrWait(int64(n), true)
	if l != nil || err != nil {
		return l, err
	}
	a.grow()
	for {
		select {
		case <-w.ready:
			return w.lease, w.err
		default:
		}
		select {
		case <-w.ready:
			return w.lease, w.err
		case <-a.kicks:
			a.grow()
		case <-ctx.Done():
			if a.giveUp(w) {
				if a.short.Load() {
					a.opts.Budget.bytes.Refused()
				}
				return nil, fmt.Errorf("%w: %d bytes (%w)", ErrNoSpace, n, context.Cause(ctx))
			}
			return w.lease, w.err
		}
	}
}

// TryTake is Alloc from the regions that there are: it makes none, and fails where anybody waits already or there is no room. It takes no time.
func (a *Arena) TryTake(n int) (*Lease, bool) { return a.take(n, grain(int64(n))) }

func (a *Arena) take(n int, align int64) (*Lease, bool) {
	invariants.Check(n > 0, "a lease of %d bytes", n)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || len(a.waiters) > 0 || int64(n) > MaxRegion {
		return nil, false
	}
	l := a.place(int64(n), align)
	return l, l != nil
}

// TrySpare is TryTake while a quarter of the arena's memory has room for all leases, as if each were as long as this one: for who does without where others may
// want it, and trims most of it. So the lease lies close to those before it, and those taken at a time leave the rest of the memory in one part.
func (a *Arena) TrySpare(n int) (*Lease, bool) {
	if u := a.Usage(); max(u.Leased, u.Leases*int64(n))+int64(n) > u.Allocated/4 {
		return nil, false
	}
	return a.take(n, smallAlign)
}

// TryAlloc is Alloc without waiting for others: it fails where anybody waits already or there is no room. It may make a region.
func (a *Arena) TryAlloc(n int) (*Lease, bool) {
	if int64(n) > a.MaxLease() {
		return nil, false
	}
	l, w, err := a.tryOrWait(int64(n), false)
	if err != nil || l != nil {
		return l, err == nil
	}
	if w == nil {
		return nil, false
	}
	a.grow()
	if a.giveUp(w) {
		return nil, false
	}
	return w.lease, w.err == nil
}

// tryOrWait places n bytes or, failing that, enqueues a waiter. It enqueues none behind others unless wait is true.
func (a *Arena) tryOrWait(n int64, wait bool) (*Lease, *waiter, error) {
	invariants.Check(n > 0, "a lease of %d bytes", n)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, nil, ErrClosed
	}
	if len(a.waiters) == 0 {
		if l := a.place(n, grain(n)); l != nil {
			return l, nil, nil
		}
	} else if !wait {
		return nil, nil, nil
	}
	w := &waiter{n: n, ready: make(chan struct{})}
	a.waiters = append(a.waiters, w)
	return nil, w, nil
}

// giveUp takes w out of the queue; false when it was served before.
func (a *Arena) giveUp(w *waiter) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	i := slices.Index(a.waiters, w)
	if i < 0 {
		return false
	}
	a.waiters = slices.Delete(a.waiters, i, i+1)
	a.serve()
	a.kickIfWaiting()
	return true
}

// place leases n bytes from the first region that has them, aligned; nil when none has. mu is held.
func (a *Arena) place(n, align int64) *Lease {
	size := roundUp(n, align)
	for _, r := range a.regions {
		if off, ok := r.free.take(size, align); ok {
			return r.lease(off, n, size)
		}
	}
	return nil
}

// serve gives to the first waiters what there is room for. mu is held.
func (a *Arena) serve() {
	for len(a.waiters) > 0 {
		w := a.waiters[0]
		if w.lease = a.place(w.n, grain(w.n)); w.lease == nil {
			return
		}
		close(w.ready)
		a.waiters = slices.Delete(a.waiters, 0, 1)
	}
}

// kick makes one waiter, if there is one, try grow. It does not block.
func (a *Arena) kick() {
	select {
	case a.kicks <- struct{}{}:
	default:
	}
}

// kickAfter is kickIfWaiting after a while, once for all who ask meanwhile.
func (a *Arena) kickAfter(d time.Duration) {
	if a.kicking.Swap(true) {
		return
	}
	time.AfterFunc(d, func() {
		a.kicking.Store(false)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.kickIfWaiting()
	})
}

// kickIfWaiting is kick, where anybody waits. mu is held.
func (a *Arena) kickIfWaiting() {
	if len(a.waiters) > 0 {
		a.kick()
	}
}

// Close fails the waiters and all later Allocs with ErrClosed. It waits for nothing: regions without leases go now, the others
// with their last lease; Done tells when.
func (a *Arena) Close() error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.closed = true
	for _, w := range a.waiters {
		w.err = ErrClosed
		close(w.ready)
	}
	a.waiters = nil
	empty := a.detachEmpty(a.total, 0)
	if a.live == 0 && !a.growing {
		a.finish()
	}
	a.mu.Unlock()
	if len(empty) == 0 {
		return nil
	}
	return a.discard(empty)
}

// Done is closed when the arena was closed and its last region is gone.
func (a *Arena) Done() <-chan struct{} { return a.done }

// finish ends a closed arena that has nothing left. mu is held.
func (a *Arena) finish() {
	select {
	case <-a.done:
	default:
		a.opts.Budget.leave(a)
		close(a.done)
	}
}
