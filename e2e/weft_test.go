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
