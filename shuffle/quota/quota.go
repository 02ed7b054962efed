// Package quota divides what a daemon has so much of among those who use it, by one rule: of each Pool a holder may have at most a share of
// what the other holders leave. So whoever comes has something left to take, however many are there and whatever they took before, and nobody's
// part has to be known in advance.
//
// It refuses to wait, to take anything back, and to know what it counts: blocks, memory, applications.
package quota

import "sync"

// Counter counts refusals; a prometheus.Counter is one.
type Counter interface{ Inc() }

// Pool is one thing that is divided. Its methods may be called from many goroutines. A nil Pool has no bound and counts nothing.
type Pool struct {
	max     int64
	percent int64
	refused Counter // may be nil

	mu   sync.Mutex
	used int64
	by   map[string]int64
}

// New returns a pool of most units, of which a holder may have percent (1 to 100) of what the others leave. refused, unless nil, counts
// what Take refuses, and Refused.
func New(most int64, percent int, refused Counter) *Pool {
	return &Pool{max: most, percent: int64(min(max(percent, 1), 100)), refused: refused, by: map[string]int64{}}
}

// room is what the holder may take more; below 0 where others came meanwhile. mu is held.
func (p *Pool) room(holder string) int64 {
	mine := p.by[holder]
	left := p.max - p.used + mine // by the others
	return left/100*p.percent + left%100*p.percent/100 - mine
}

// Take takes n units for the holder; false, and nothing taken, where that is more than it may have.
func (p *Pool) Take(holder string, n int64) bool {
	taken := p.Try(holder, n)
	if !taken {
		p.Refused()
	}
	return taken
}

// Try is Take for who can make room and try again: it is not counted as refused.
func (p *Pool) Try(holder string, n int64) bool { return p == nil || p.TakeSome(holder, n, n, 1) == n }

// Refused counts a refusal, for who gives up after Try or TakeSome.
func (p *Pool) Refused() {
	if p != nil && p.refused != nil {
		p.refused.Inc()
	}
}

// TakeSome takes between need and want units, a multiple of unit or exactly want; 0 where need is more than the holder may have, which is
// not counted as refused. p is not nil.
func (p *Pool) TakeSome(holder string, need, want, unit int64) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if room := p.room(holder); room < want {
		want = room - room%unit
	}
	if want < need || want <= 0 {
		return 0
	}
	p.used += want
	p.by[holder] += want
	return want
}

// Give gives n units back that the holder took.
func (p *Pool) Give(holder string, n int64) {
	if p == nil || n == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.used -= n
	if p.by[holder] -= n; p.by[holder] == 0 {
		delete(p.by, holder)
	}
}

// Max is what all holders may have together.
func (p *Pool) Max() int64 { return p.max }

// Alone is the most that a holder can have, when there is no other.
func (p *Pool) Alone() int64 { return p.max/100*p.percent + p.max%100*p.percent/100 }

// Used is what the holder has.
func (p *Pool) Used(holder string) int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.by[holder]
}

// Usage is what each holder has, of those that have anything.
func (p *Pool) Usage() map[string]int64 {
	all := map[string]int64{}
	if p == nil {
		return all
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for holder, n := range p.by {
		all[holder] = n
	}
	return all
}

// Share is a pool as one holder sees it. The zero Share has no bound.
type Share struct {
	Pool   *Pool
	Holder string
}

// Of is the pool as the holder sees it.
func (p *Pool) Of(holder string) Share { return Share{p, holder} }

// Take is Pool.Take for the holder.
func (s Share) Take(n int64) bool { return s.Pool.Take(s.Holder, n) }

// Give is Pool.Give for the holder.
func (s Share) Give(n int64) { s.Pool.Give(s.Holder, n) }
