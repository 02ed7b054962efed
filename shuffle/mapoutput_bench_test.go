package shuffle

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

// The memory of registered map outputs: state-bytes/output is what one costs before any block of it was asked for,
// layout-bytes/partition what a partition costs while it is among the recently used.
func BenchmarkMapOutputMemory(b *testing.B) {
	const outputs, partitionCount = 100_000, 200
	for b.Loop() {
		n := newNode(b, RegistryOptions{}, nil)
		heap := func() int64 {
			runtime.GC()
			runtime.GC()
			var stats runtime.MemStats
			runtime.ReadMemStats(&stats)
			return int64(stats.HeapAlloc)
		}
		before := heap()
		for m := range uint64(outputs) {
			must(b, n.executor.RegisterMapOutput(MapOutput{
				Shuffle: 1, Map: m, Partitions: partitionCount,
				Data:  filepath.Join(n.dir, fmt.Sprintf("%02x/shuffle_1_%d_0.data", m%64, m)),
				Index: filepath.Join(n.dir, fmt.Sprintf("%02x/shuffle_1_%d_0.index", m%61, m)),
			}))
		}
		b.ReportMetric(float64(heap()-before)/outputs, "state-bytes/output")

		n.commit(2, 1, make([][]byte, partitionCount)...)
		l, file, err := n.registry.outputs.open(n.executor.dirs, n.executor.mapOutput(2, 1))
		must(b, err)
		file.unref()
		b.ReportMetric(float64(l.bytes())/partitionCount, "layout-bytes/partition")
		n.executor.Leave()
	}
}

// Locating 100 blocks of one partition each, of as many map outputs: first without anything known, then known, then with
// more map outputs than files may be open.
func BenchmarkLocate(b *testing.B) {
	const outputs, reducers = 100, 20
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		n := newNode(b, RegistryOptions{}, nil)
		parts := make([][]byte, reducers)
		for p := range parts {
			parts[p] = make([]byte, size)
		}
		if size == 1<<20 {
			parts = parts[:2]
		}
		var ids []BlockID
		for m := range uint64(outputs) {
			n.commit(1, m, parts...)
			ids = append(ids, reduces(1, m, 1, 2))
		}
		req := &LocateRequest{App: n.app, Executor: "1", Blocks: ids}
		locate := func(b *testing.B) {
			found, err := n.Locate(b.Context(), req)
			if err != nil || found[0].Err != nil || found[outputs-1].Err != nil {
				b.Fatal(err, found[0].Err)
			}
			closeFound(found)
		}
		forgetAll := func() {
			for m := range uint64(outputs) {
				o := n.executor.mapOutput(1, m)
				n.registry.outputs.forget(o)
				o.gone, o.dropped = false, false
			}
		}
		for _, mode := range []string{"known", "first", "first-open"} {
			b.Run(fmt.Sprintf("bytes=%d/%s", size, mode), func(b *testing.B) {
				b.SetBytes(int64(size * outputs))
				b.ReportAllocs()
				locate(b)
				for b.Loop() {
					switch mode {
					case "first":
						b.StopTimer()
						forgetAll()
						b.StartTimer()
					case "first-open": // only the checksums are unknown
						b.StopTimer()
						for m := range uint64(outputs) {
							n.registry.outputs.layouts.of[n.executor.mapOutput(1, m)].Value.(*cachedLayout).layout.sums = newPartitionSums(uint32(len(parts)))
						}
						b.StartTimer()
					}
					locate(b)
				}
			})
		}
		n.executor.Leave()
		must(b, os.RemoveAll(n.dir))
	}
}
