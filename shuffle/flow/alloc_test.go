package flow

import (
	"fmt"
	"testing"
)

// round is the life of some pieces in each of many streams.
func round(f *Flow[[4]uint64], streams, pieces int, next uint64) {
	for i := range streams * pieces {
		f.Add(next+uint64(i%streams), 1<<20, [4]uint64{})
	}
	for f.waiting > 0 {
		for {
			if _, _, ok := f.Next(); !ok {
				break
			}
		}
		for slot := range f.flying {
			f.End(slot)
		}
	}
}

// Once there was as much at a time before, nothing is allocated: with named streams, new ones each time, and without.
func TestAllocatesNothing(t *testing.T) {
	for _, named := range []uint64{1, 0} {
		f := New[[4]uint64](Limits{64, 8 << 20, 1 << 20})
		id := named
		once := func() {
			round(f, 1+int(named)*19, 50, id)
			id += 20 * named
		}
		for range 100 {
			once()
		}
		if n := testing.AllocsPerRun(1000, once); n != 0 {
			t.Errorf("%v allocations for %d pieces", n, (1+named*19)*50)
		}
	}
}

// The work for one piece does not grow with the number of streams.
func BenchmarkPiece(b *testing.B) {
	for _, streams := range []int{1, 100, 10000} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) {
			f := New[[4]uint64](Limits{64, 8 << 20, 1 << 20})
			b.ReportAllocs()
			for i := 0; i < b.N; i += 10 * streams {
				round(f, streams, 10, 1)
			}
		})
	}
}
