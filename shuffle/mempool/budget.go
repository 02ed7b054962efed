package mempool

import (
	"fmt"
	"sync"
	"sync/atomic"
)

// Budget bounds the bytes of all arenas of the daemon (weft.memory.max) and counts them by purpose.
type Budget struct {
	max int64

	mu       sync.Mutex
	used     int64
	arenas   map[*Arena]struct{}
	purposes map[string]*purpose

	// starving holds the arenas that wait for bytes of others. Changed under mu; hungry is its size, for a cheap look.
	starving map[*Arena]struct{}
	hungry   atomic.Int32
}

// purpose counts what one kind of arena has.
type purpose struct {
	allocated, leased, leases atomic.Int64
}

// Usage is what the arenas of one purpose have.
type Usage struct {
	Allocated int64 // bytes of regions
	Leased    int64 // bytes of them in leases, with alignment
	Leases    int64 // leases out
}

// NewBudget returns a budget of max bytes.
func NewBudget(max int64) *Budget {
	return &Budget{
		max:      max,
		arenas:   map[*Arena]struct{}{},
		purposes: map[string]*purpose{},
		starving: map[*Arena]struct{}{},
	}
}

// Max returns the limit in bytes.
func (b *Budget) Max() int64 { return b.max }

// Usage returns what is in use, by purpose. A purpose stays listed after its last arena was closed.
func (b *Budget) Usage() map[string]Usage {
	b.mu.Lock()
	defer b.mu.Unlock()
	u := make(map[string]Usage, len(b.purposes))
	for name, p := range b.purposes {
		u[name] = Usage{Allocated: p.allocated.Load(), Leased: p.leased.Load(), Leases: p.leases.Load()}
	}
	return u
}

// String is for logs.
func (b *Budget) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprintf("%d of %d bytes in use by %d arenas", b.used, b.max, len(b.arenas))
}

func (b *Budget) join(a *Arena, name string) *purpose {
	b.mu.Lock()
	defer b.mu.Unlock()
	p := b.purposes[name]
	if p == nil {
		p = &purpose{}
		b.purposes[name] = p
	}
	b.arenas[a] = struct{}{}
	return p
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
