//go:build e2e

package e2e

import (
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestJars has Spark bring the jar to the executors, with nothing on a class path: from 4.0 on the shuffle manager is made late enough for that.
func TestJars(t *testing.T) {
	c := cluster(t, "4.1.3", 2)
	conf := c.WithWeft().With(shortGrace).With(Conf{"spark.jars": c.WeftJar()})
	maps.DeleteFunc(conf, func(key, _ string) bool { return strings.HasSuffix(key, ".extraClassPath") })
	jobs := []string{"groupByKey", "broadcast", "taskresult"}
	r := c.Submit(t, conf, jobs...)
	r.checkResults(t, len(jobs))
	r.checkAllByWeft(t)
	r.checkWarnings(t)
	c.AwaitIdle(t, 30*time.Second)
}

// TestPluginMetrics reads what Spark's metrics system shows of blocks, as one of its sinks writes it, while a job has read its first blocks.
func TestPluginMetrics(t *testing.T) {
	t.Run("4.1.3", func(t *testing.T) {
		testPluginMetrics(t, cluster(t, "4.1.3", 2), Conf{"spark.plugins": "org.apache.spark.shuffle.weft.WeftPlugin"})
	})
	t.Run("3.5.9", func(t *testing.T) { testPluginMetrics(t, cluster(t, "3.5.9", 2), nil) }) // the manager adds the plugin
}

func testPluginMetrics(t *testing.T, c *Cluster, plugin Conf) {
	r := c.StartStopping(t, c.WithWeft().With(shortGrace).With(plugin).With(Conf{
		"spark.metrics.conf.*.sink.csv.class":     "org.apache.spark.metrics.sink.CsvSink",
		"spark.metrics.conf.*.sink.csv.directory": "/tmp",
		"spark.metrics.conf.*.sink.csv.period":    "1",
	}), "bigblocks")
	r.Await(t, "mapped")
	r.Release(t, "go")
	r.Await(t, "reducing")
	c.eventually(t, "Spark shows blocks of 2 MiB that came by weft, and the leases of them", func() bool {
		return c.metric("weft_blocks") > 0 && c.metric("weft_bytes") > 2<<20 && c.metric("leases") > 0
	})
	if n := c.metric("netty_blocks"); n != 0 {
		t.Errorf("Spark shows %d blocks by Netty", n)
	}
	r.Release(t, "continue")
	r.Wait(t)
	r.checkResults(t, 1)
	r.checkAllByWeft(t)
	r.checkWarnings(t)
	c.AwaitIdle(t, 30*time.Second)
}

// metric is the sum of the last values that the executors' sinks wrote of one of the plugin's figures; -1: they wrote none.
func (c *Cluster) metric(figure string) int64 {
	files, _ := filepath.Glob(filepath.Join(c.dir, "h*/tmp/*.plugin.org.apache.spark.shuffle.weft.WeftPlugin."+figure+".csv"))
	sum := int64(-1)
	for _, file := range files {
		b, _ := os.ReadFile(file)
		_, last, _ := strings.Cut(tail(string(b), 1), ",") // time, value; a line that is still written is another number, or none
		if n, err := strconv.ParseInt(last, 10, 64); err == nil {
			sum = max(sum, 0) + n
		}
	}
	return sum
}
