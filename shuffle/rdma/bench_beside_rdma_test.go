//go:build rdma

package rdma

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weft/shuffle"
)

// BenchmarkSmallBeside times one fetch's READs of 1 KiB, one at a time, while others always have load bytes asked for on the same connection: each
// fetch 8 requests of 4 MiB.
func BenchmarkSmallBeside(b *testing.B) {
	for _, load := range []int{0, 32 << 20, 256 << 20} {
		b.Run(fmt.Sprintf("load=%d", load), func(b *testing.B) { benchBeside(b, load) })
	}
}

func benchBeside(b *testing.B, load int) {
	const small, large, window = 1 << 10, 4 << 20, 8 // as weft.fetch.piece and weft.fetch.window are
	s := newSide(b, 1)
	source, target := s.memory(b, large, s.domain.Upcall()), s.memory(b, large+small, s.domain.Receive())
	parts, hide, err := s.node.Expose(theApp, &shuffle.Found{Mem: source, Length: large})
	if err != nil {
		b.Fatal(err)
	}
	defer hide()
	invitation, _, err := s.node.Invite(theApp)
	if err != nil {
		b.Fatal(err)
	}
	c, err := s.node.Dial(b.Context(), theApp, invitation)
	if err != nil {
		b.Fatal(err)
	}

	var stop atomic.Bool
	var moved atomic.Int64
	var under sync.WaitGroup
	var begin func(fetch uint64)
	begin = func(fetch uint64) {
		under.Add(1)
		c.Read([]shuffle.DirectRead{{Dst: target[:large], Parts: parts, Stream: 2 + fetch, Done: func(err error) {
			defer under.Done()
			if err != nil {
				b.Error(err)
			} else if moved.Add(large); !stop.Load() {
				begin(fetch)
			}
		}}})
	}
	for i := range load / large {
		begin(uint64(i / window))
	}
	for moved.Load() < int64(min(load, 32<<20)) {
		time.Sleep(time.Millisecond)
	}

	took, arrived := make([]time.Duration, b.N), make(chan error, 1)
	first := []shuffle.Part{{Addr: parts[0].Addr, Key: parts[0].Key, Length: small}}
	one := []shuffle.DirectRead{{Dst: target[large:], Parts: first, Stream: 1, Done: func(err error) { arrived <- err }}}
	before := moved.Load()
	b.ResetTimer()
	for i := range took {
		start := time.Now()
		c.Read(one)
		if err := <-arrived; err != nil {
			b.Fatal(err)
		}
		took[i] = time.Since(start)
	}
	b.StopTimer()
	passed := float64(moved.Load()-before) / 1e6
	b.ReportMetric(passed/b.Elapsed().Seconds(), "load-MB/s")
	b.ReportMetric(passed/float64(b.N), "passed-MB") // while one was under way: however fast the machine is
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Nanoseconds())/1e3, "p50-us")
	b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds())/1e3, "p99-us")
	stop.Store(true)
	under.Wait()
	if err := c.Close(); err != nil {
		b.Error(err)
	}
}
