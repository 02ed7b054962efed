package jvmbridge

import (
	"sync"

	"weft/internal/pb/bridgepb"
	"weft/shuffle/mempool"
)

// leases are those that the JVM has shares of. A paused JVM keeps them; the session's end returns all.
type leases struct {
	mu    sync.Mutex
	last  uint64
	out   map[uint64]*outLease
	ended bool
}

type outLease struct {
	lease  *mempool.Lease
	shares int // with the JVM
}

func (l *leases) init() { l.out = map[uint64]*outLease{} }

// hand notes that the JVM gets shares of a lease, and gives the lease its number. After the session's end it returns the shares.
func (l *leases) hand(lease *mempool.Lease, shares int) (id uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		lease.ReleaseShares(shares)
		return 0, false
	}
	l.last++
	l.out[l.last] = &outLease{lease, shares}
	return l.last, true
}

// release takes shares back that the JVM had; anything else is a violation.
func (l *leases) release(m *bridgepb.Release) error {
	ids, counts := m.GetLease(), m.GetCount()
	if len(ids) != len(counts) {
		return violationf("Release of %d leases with %d counts", len(ids), len(counts))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ended {
		return nil
	}
	for i, id := range ids {
		o, n := l.out[id], int(counts[i])
		if o == nil {
			return violationf("Release of lease %d, which is not out", id)
		}
		if n < 1 || n > o.shares {
			return violationf("Release of %d shares of lease %d, of which %d are out", n, id, o.shares)
		}
		if o.shares -= n; o.shares == 0 {
			delete(l.out, id)
		}
		o.lease.ReleaseShares(n)
	}
	return nil
}

func (l *leases) releaseAll() {
	l.mu.Lock()
	l.ended = true
	out := l.out
	l.out = nil
	l.mu.Unlock()
	for _, o := range out { // the last ones of a region unmap it
		o.lease.ReleaseShares(o.shares)
	}
}
