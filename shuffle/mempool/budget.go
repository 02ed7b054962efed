package mempool

import (
	"sync"
	"sync/atomic"
)

// Budget bounds the bytes of all arenas of the daemon (weft.memory.max) and counts them by purpose.
type Budget struct {
	max int64

	mu     sync.Mutex
	used   int64
	arenas map[*Arena]struct{}

	// starving holds the arenas that wait for bytes of others. Changed under mu; hungry is its size, for a cheap look.
	starving map[*Arena]struct{}
	hungry   atomic.Int32
}

// NewBudget returns a budget of so many bytes.
func NewBudget(bytes int64) *Budget {
	return &Budget{
		max:      bytes,
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

// reserve takes between need and want bytes for a, a multiple of a page or exactly want. 0: there is no room even when the
// empty regions of all arenas are given back; a is kicked when that may have changed. No lock may be held.
func (b *Budget) reserve(a *Arena, need, want int64) int64 {
	if n := b.tryReserve(a, need, want); n > 0 {
		return n
	}
	for _, other := range b.others(a) {
		if other.dropEmpty(need) {
			if n := b.tryReserve(a, need, want); n > 0 {
				return n
			}
		}
	}
	return 0
}

func (b *Budget) tryReserve(a *Arena, need, want int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	room := b.max - b.used
	if room < want {
		want = room &^ (largeAlign - 1)
	}
	if want >= need {
		b.used += want
		delete(b.starving, a)
	} else {
		want = 0
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

// giveBack returns n bytes and lets the starving try again.
func (b *Budget) giveBack(n int64) {
	b.mu.Lock()
	b.used -= n
	b.mu.Unlock()
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
