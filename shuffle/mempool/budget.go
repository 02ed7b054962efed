package mempool

import (
	"sync"
	"sync/atomic"
	"time"

	"weft/shuffle/quota"
)

// Budget bounds the bytes of all arenas of the daemon (weft.memory.max) and counts them by purpose. It divides them among the arenas' holders.
type Budget struct {
	bytes *quota.Pool

	mu     sync.Mutex
	arenas map[*Arena]struct{}

	// starving holds the arenas that wait for bytes of others. Changed under mu; hungry is its size, for a cheap look.
	starving map[*Arena]struct{}
	hungry   atomic.Int32
}

// NewBudget returns a budget of so many bytes, all of which one holder may have.
func NewBudget(bytes int64) *Budget { return NewBudgetOf(quota.New(bytes, 100, nil)) }

// NewBudgetOf returns a budget of bytes.
func NewBudgetOf(bytes *quota.Pool) *Budget {
	return &Budget{
		bytes:    bytes,
		arenas:   map[*Arena]struct{}{},
		starving: map[*Arena]struct{}{},
	}
}

// Usage returns what the arenas have, by purpose.
func (b *Budget) Usage() map[string]Usage {
	b.mu.Lock()
	defer b.mu.Unlock()
	sums := map[string]Usage{}
	for a := range b.arenas {
		sum, u := sums[a.opts.Purpose], a.Usage()
		sum.Allocated += u.Allocated
		sum.Leased += u.Leased
		sum.Leases += u.Leases
		sums[a.opts.Purpose] = sum
	}
	return sums
}

func (b *Budget) join(a *Arena) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.arenas[a] = struct{}{}
}

func (b *Budget) leave(a *Arena) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.arenas, a)
	delete(b.starving, a)
	b.hungry.Store(int32(len(b.starving)))
}

// reserve takes between need and want bytes for a, a multiple of a page or exactly want. 0: there is no room for
// a's holder even when the empty regions of all arenas are given back; a is kicked when that may have changed. No lock may be held.
func (b *Budget) reserve(a *Arena, need, want int64) int64 {
	if n := b.tryReserve(a, need, want); n > 0 {
		return n
	}
	spared := false
	for _, other := range b.others(a) {
		idle := b.respite(a, other)
		if other.dropEmpty(need, idle) {
			if n := b.tryReserve(a, need, want); n > 0 {
				return n
			}
		}
		spared = spared || idle > 0 && other.hasEmpty()
	}
	if spared {
		a.kickAfter(rest)
	}
	return 0
}

// rest is how long an empty region is left to a holder that has less than the one who wants it. Else who takes all that he can get would have
// the others make theirs anew for each lease; and for ever would be a waste of what nobody uses. Whoever waits (weft.memory.wait, 1 s) outlasts it.
const rest = 100 * time.Millisecond

// respite is how long regions of other have to be empty to be given up for a.
func (b *Budget) respite(a, other *Arena) time.Duration {
	mine, theirs := a.opts.Holder, other.opts.Holder
	if mine == theirs || b.bytes.Used(mine) < b.bytes.Used(theirs) {
		return 0
	}
	return rest
}

func (b *Budget) tryReserve(a *Arena, need, want int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	want = b.bytes.TakeSome(a.opts.Holder, need, want, largeAlign)
	if want > 0 {
		delete(b.starving, a)
	} else {
		b.starving[a] = struct{}{}
	}
	b.hungry.Store(int32(len(b.starving)))
	return want
}

func (b *Budget) others(a *Arena) []*Arena {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make([]*Arena, 0, len(b.arenas))
	for other := range b.arenas {
		if other != a {
			all = append(all, other)
		}
	}
	return all
}

// giveBack returns n bytes of a holder and lets the starving try again.
func (b *Budget) giveBack(holder string, n int64) {
	b.bytes.Give(holder, n)
	b.feed()
}

// feed lets the starving arenas try again. It does not block.
func (b *Budget) feed() {
	if b.hungry.Load() == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for a := range b.starving {
		a.kick()
		delete(b.starving, a)
	}
	b.hungry.Store(0)
}
