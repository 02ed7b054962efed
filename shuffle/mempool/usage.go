package mempool

import "sync/atomic"

// Usage is what an arena, or all arenas of one purpose, have.
type Usage struct {
	Allocated int64 // bytes of regions
	Leased    int64 // bytes of them in leases, with alignment
	Leases    int64 // leases out
}

// Gauge is told by how much something changed, from many goroutines; a prometheus.Gauge is one.
type Gauge interface{ Add(delta float64) }

// Gauges follow the usage of an arena. All are set or none.
type Gauges struct {
	Allocated, Leased, Leases Gauge
}

// usage counts for Usage and tells the gauges.
type usage struct {
	gauges                    Gauges
	allocated, leased, leases atomic.Int64
}

func (u *usage) addAllocated(bytes int64) {
	u.allocated.Add(bytes)
	if u.gauges.Allocated != nil {
		u.gauges.Allocated.Add(float64(bytes))
	}
}

func (u *usage) addLeased(bytes, leases int64) {
	openLeases.Add(int(leases)) // before what Usage reads: a test that sees by it that all is given back then counts for leaks
	u.leased.Add(bytes)
	u.leases.Add(leases)
	if u.gauges.Leased != nil {
		u.gauges.Leased.Add(float64(bytes))
		u.gauges.Leases.Add(float64(leases))
	}
}

// Usage returns what the arena has now. The numbers are read one by one.
func (a *Arena) Usage() Usage {
	return Usage{Allocated: a.usage.allocated.Load(), Leased: a.usage.leased.Load(), Leases: a.usage.leases.Load()}
}
