package mempool_test

import (
	"testing"

	"weft/shuffle/mempool"
)

// One allocation, the Lease itself, with a hundred leases out as a busy session has them.
func BenchmarkAllocRelease(b *testing.B) {
	a := mempool.NewArena(mempool.ArenaOptions{Backing: mempool.Heap{}, Budget: mempool.NewBudget(64 * mib), RegionSize: 64 * mib, Max: 64 * mib})
	defer a.Close()
	out := make([]*mempool.Lease, 100)
	for i := range out {
		out[i], _ = a.TryAlloc(40_000 + i)
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		l, err := a.Alloc(b.Context(), 40_000+i%1000)
		if err != nil {
			b.Fatal(err)
		}
		out[i*37%100].Release()
		out[i*37%100] = l
	}
	for _, l := range out {
		l.Release()
	}
}
