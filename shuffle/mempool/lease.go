package mempool

import (
	"log/slog"
	"sync/atomic"
	"time"

	"weft/internal/invariants"
)

var openLeases = invariants.NewCounter("mempool leases")

// Lease is the right to use a part of one region until its last share is released. It begins with one share. Retain and
// Release may be called from many goroutines; Trim belongs to whoever allocated it, before anybody else knows the lease.
type Lease struct {
	region *region
	off    int64
	n      int64 // bytes asked for
	size   int64 // bytes of the extent
	shares atomic.Int32
}

// lease makes the lease of an extent taken from r. The arena's mu is held.
func (r *region) lease(off, n, size int64) *Lease {
	l := &Lease{region: r, off: off, n: n, size: size}
	l.shares.Store(1)
	r.leases++
	r.arena.usage.addLeased(size, 1)
	return l
}

// Bytes returns the leased memory. It must not be touched once the caller's share was released.
func (l *Lease) Bytes() []byte { return l.region.mem[l.off : l.off+l.n : l.off+l.n] }

// Len returns the number of leased bytes.
func (l *Lease) Len() int { return int(l.n) }

// Region returns the number of the region that the lease lies in, unique within the arena.
func (l *Lease) Region() uint32 { return l.region.number }

// Offset returns where in the region the lease begins, in bytes.
func (l *Lease) Offset() int64 { return l.off }

// Retain adds n shares. The caller must own one.
func (l *Lease) Retain(n int) {
	now := l.shares.Add(int32(n))
	invariants.Check(n >= 0 && int(now) > n, "retain of a released lease")
}

// Release gives back one share; the last one frees the memory.
func (l *Lease) Release() { l.ReleaseShares(1) }

// ReleaseShares gives back n shares at once. More than there are is a bug of the caller: it panics under the invariants tag,
// else it is logged and frees nothing twice.
func (l *Lease) ReleaseShares(n int) {
	if n == 0 {
		return
	}
	switch left := l.shares.Add(-int32(n)); {
	case left == 0:
		l.region.put(extent{l.off, l.size}, true)
	case left < 0:
		invariants.Check(false, "lease at %d of region %d released %d times too often", l.off, l.region.number, -left)
		slog.Error("a lease was released more often than it was shared; please report this",
			"purpose", l.region.arena.opts.Purpose, "region", l.region.number, "offset", l.off)
	}
}

// Trim shortens the lease to its first n bytes, at least 1, and gives the rest back.
func (l *Lease) Trim(n int) {
	invariants.Check(n > 0 && int64(n) <= l.n, "trim of %d bytes to %d", l.n, n)
	l.n = int64(n)
	if size := roundUp(l.n, smallAlign); size < l.size {
		tail := extent{l.off + size, l.size - size}
		l.size = size
		l.region.put(tail, false)
	}
}

// put frees an extent, of a whole lease or of its tail, and serves those who wait for it.
func (r *region) put(x extent, last bool) {
	a := r.arena
	a.mu.Lock()
	if !a.closed { // else nobody gets it again, and a JVM may still read what was released for it
		invariants.Fill(r.mem[x.off : x.off+x.len])
	}
	r.free.put(x)
	leases := int64(0)
	if last {
		leases = 1
	}
	r.leases -= int(leases)
	a.usage.addLeased(-x.len, -leases)
	a.serve()
	a.kickIfWaiting()
	empty := r.leases == 0
	if empty && last {
		r.since = time.Now()
	}
	var gone []*region
	if empty && a.closed {
		gone = a.detachEmpty(int64(len(r.mem)), 0)
	}
	a.mu.Unlock()
	a.drop(gone)
	if empty && gone == nil {
		a.opts.Budget.feed()
	}
}
