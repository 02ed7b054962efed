package daemon

import (
	"fmt"
	"testing"

	"weft/internal/options"
	"weft/internal/status"
)

// BenchmarkFetch is a request of 100 blocks from one daemon to another over loopback, without a JVM: sessions, fetcher, transport and
// service. Both daemons and both executors are this process, so bytes per operation are those of all of them.
func BenchmarkFetch(b *testing.B) {
	const blocks = 100
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		b.Run(fmt.Sprintf("block=%s", status.Bytes(int64(size))), func(b *testing.B) {
			opts := func() options.Options {
				o := options.Default()
				o.SocketDir, o.NetBind = shortDir(b)+"/s", loopback
				return o
			}
			here, there := startDaemon(b, opts()), startDaemon(b, opts())
			reader, owner := join(b, here.BridgeSocket, "app", "1"), join(b, there.BridgeSocket, "app", "2")
			sizes := make([]int, blocks)
			for i := range sizes {
				sizes[i] = size
			}
			owner.mapOutput(b, 0, 0, sizes...)
			b.SetBytes(int64(blocks * size))
			b.ReportAllocs()
			for b.Loop() {
				got := reader.fetch(b, reader.shuffled(owner, 0, 0, blocks))
				for _, block := range got {
					if block.Reason != 0 {
						b.Fatalf("%v: %s", block.Reason, block.Detail)
					}
				}
				if err := reader.Release(got...); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
