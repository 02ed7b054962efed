package jvmbridge_test

import (
	"fmt"
	"testing"

	"weft/jvmbridge/bridgetest"
)

// The bridge's part of a fetch, there and back, with blocks that cost nothing to fetch.
func BenchmarkFetch(b *testing.B) {
	for _, blocks := range []int{1, 100} {
		b.Run(fmt.Sprintf("blocks=%d", blocks), func(b *testing.B) {
			c := &contents{blocks: map[string][]byte{}}
			names := make([]string, blocks)
			for i := range names {
				names[i] = fmt.Sprintf("rdd_1_%d", i)
				c.blocks[names[i]] = pattern(1, 1024)
			}
			r := newRig(b, c, nil)
			client, err := bridgetest.Dial(r.socket, bridgetest.Hello("app", "1"))
			if err != nil {
				b.Fatal(err)
			}
			defer client.Close()
			b.ReportAllocs()
			for b.Loop() {
				got, err := client.FetchAll(b.Context(), fetchOf(false, names...))
				if err != nil {
					b.Fatal(err)
				}
				if err := client.Release(got...); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(blocks*b.N)/b.Elapsed().Seconds(), "blocks/s")
		})
	}
}
