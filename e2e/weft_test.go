//go:build e2e

package e2e

import (
	"testing"
	"time"
)

// sparkLines are the versions of scripts/spark.
var sparkLines = []string{"3.5.9", "3.1.3", "4.0.4", "4.1.3"}

// TestWeft runs the core jobs on every Spark line with weft: the results are stock Spark's, and every remote block came through weft.
func TestWeft(t *testing.T) {
	for _, version := range sparkLines {
		t.Run(version, func(t *testing.T) {
			c := cluster(t, version, 2)
			r := c.Submit(t, c.WithWeft(), coreJobs...)
			r.checkResults(t, len(coreJobs))
			r.checkAllByWeft(t)
			c.AwaitIdle(t, 30*time.Second)
		})
	}
}

// checkAllByWeft checks that nothing remote went by Netty, no lease leaked, and weft moved at least what Spark counts as remote.
func (r *Run) checkAllByWeft(t testing.TB) {
	t.Helper()
	all := r.Summaries(t)
	if len(all) != 3 {
		t.Fatalf("%d summaries instead of those of the driver and two executors: %+v", len(all), all)
	}
	sum := Total(all)
	t.Logf("%d blocks and %d bytes by weft", sum.WeftBlocks, sum.WeftBytes)
	if sum.NettyBlocks != 0 || sum.NettyBytes != 0 || len(sum.Fallbacks) != 0 {
		t.Errorf("some blocks went by Netty: %+v", all)
	}
	if sum.Leases != 0 || sum.Leaks != 0 {
		t.Errorf("leases were not given back: %+v", all)
	}
	var remote int64
	for _, job := range r.Shuffled(t) {
		remote += job.RemoteBlocks
	}
	if sum.WeftBlocks < remote {
		t.Errorf("Spark counts %d remote shuffle blocks, weft %d", remote, sum.WeftBlocks)
	}
}
