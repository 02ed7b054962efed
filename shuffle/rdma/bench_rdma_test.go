//go:build rdma

package rdma

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// BenchmarkRead keeps depth READs of a block in flight on one connection, as bench/cloop does: scripts/bench-rdma compares the two.
func BenchmarkRead(b *testing.B) {
	for _, block := range []int{4 << 10, 64 << 10, 1 << 20, 16 << 20} {
		for _, depth := range []int{1, 16, 64} {
			if block*depth > 256<<20 {
				continue
			}
			b.Run(fmt.Sprintf("impl=weft/block=%d/depth=%d", block, depth), func(b *testing.B) { benchRead(b, block, depth) })
		}
	}
}

func benchRead(b *testing.B, block, depth int) {
	e := newEnds(b, block*depth, Options{})
	c := e.dial(b)
	took := make([]time.Duration, 0, b.N)
	begun := make([]time.Time, depth)
	slots := make(chan int, depth)
	ends := make([]func(error), depth)
	for i := range depth {
		slots <- i
		ends[i] = func(err error) {
			if err != nil {
				b.Error(err)
			}
			took = append(took, time.Since(begun[i])) // by the completer alone
			slots <- i
		}
	}
	b.SetBytes(int64(block))
	b.ResetTimer()
	for range b.N {
		i := <-slots
		begun[i] = time.Now()
		c.Read(e.read(i*block, block, ends[i]))
	}
	for range depth {
		<-slots
	}
	b.StopTimer()
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-us")
}
