//go:build e2e

package e2e

import (
	"slices"
	"testing"
	"time"
)

// TestOptions runs jobs with options of Spark's that change how blocks are written, read or protected, on the newest Spark line and on the
// oldest with security fixes. Each subtest is one application with stock Spark's results, and all its remote blocks by weft, or all of a kind
// by Netty for a reason that is counted and logged. Their order spares new clusters.
func TestOptions(t *testing.T) {
	plain := func(version string) {
		t.Run(version+"/speculation, blocks to files, io.encryption", func(t *testing.T) { testFilesAndSpeculation(t, cluster(t, version, 2)) })
		t.Run(version+"/shuffle service, dynamic allocation", func(t *testing.T) { testDynamicAllocation(t, cluster(t, version, 2)) })
	}
	secure := func(version string) {
		t.Run(version+"/authenticate, shuffle service", func(t *testing.T) { testAuthenticate(t, secureCluster(t, version)) })
		t.Run(version+"/network.crypto", func(t *testing.T) { testNetworkCrypto(t, secureCluster(t, version)) })
		t.Run(version+"/sasl encryption", func(t *testing.T) { testSASL(t, secureCluster(t, version)) })
	}
	plain("4.1.3")
	secure("4.1.3")
	t.Run("4.1.3/ssl.rpc", testSSL) // Spark has it from 4.0 on
	secure("3.5.9")
	plain("3.5.9")
}

// testFilesAndSpeculation has every stage run twice where cores are free, with the loser killed in mid-fetch; every block above 1 MiB
// written to a file by who fetches it, be it of a shuffle, a broadcast or a task's result; and files and blocks on disk encrypted.
func testFilesAndSpeculation(t *testing.T, c *Cluster) {
	jobs := []string{"broadcast", "diskrdd", "taskresult", "aqesql", "bigblocks"}
	r := c.Submit(t, c.WithWeft().With(shortGrace).With(Conf{
		"spark.speculation":                              "true",
		"spark.speculation.interval":                     "10ms",
		"spark.speculation.quantile":                     "0.01",
		"spark.speculation.multiplier":                   "0",
		"spark.speculation.minTaskRuntime":               "0ms",
		"spark.network.maxRemoteBlockSizeFetchToMem":     "1m",
		"spark.io.encryption.enabled":                    "true",
		"spark.storage.memoryMapThreshold":               "64k",
		"spark.shuffle.accurateBlockThreshold":           "64k", // without it Spark takes the blocks for smaller than they are
		"spark.shuffle.minNumPartitionsToHighlyCompress": "1000000",
	}), jobs...)
	r.checkResults(t, len(jobs))
	r.checkAllByWeft(t)
	r.checkWarnings(t)
	shuffled := r.Shuffled(t)
	if big := shuffled["bigblocks"]; big.BytesToFiles != big.RemoteBytes {
		t.Errorf("of 2 MiB blocks, not all went to files: %+v", big)
	}
	copies := 0
	for _, job := range shuffled {
		copies += job.SpeculativeTasks
	}
	if copies == 0 {
		t.Error("no task was run twice")
	}
	c.AwaitIdle(t, 30*time.Second)
}

// testDynamicAllocation fetches from living executors with the external shuffle service on: by weft, although Spark names the service's
// port. Then it lets all executors end after the map stage: the service alone has their blocks, and Spark's own client must fetch them.
func testDynamicAllocation(t *testing.T, c *Cluster) {
	r := c.StartStopping(t, c.WithWeft().With(shortGrace).With(Conf{
		"spark.shuffle.service.enabled":               "true",
		"spark.dynamicAllocation.enabled":             "true",
		"spark.dynamicAllocation.initialExecutors":    "2",
		"spark.dynamicAllocation.maxExecutors":        "2",
		"spark.dynamicAllocation.executorIdleTimeout": "3s",
		"spark.executor.cores":                        "2",
	}), "groupByKey", "bigblocks")
	r.Await(t, "mapped")
	for _, host := range []string{Host1, Host2} {
		for deadline := time.Now().Add(time.Minute); len(c.Pids(t, host, "executor")) > 0; time.Sleep(100 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("the idle executor on %s does not end", host)
			}
		}
	}
	r.Release(t, "go")
	r.Release(t, "continue")
	r.Wait(t)
	r.checkResults(t, 2)
	jobs, all := r.Shuffled(t), r.Summaries(t)
	sum := Total(all)
	t.Logf("%d blocks by weft, %d by Netty, of %d and %d remote ones", sum.WeftBlocks, sum.NettyBlocks, jobs["groupByKey"].RemoteBlocks, jobs["bigblocks"].RemoteBlocks)
	var later Summary // the executors that came for the reduce stage: one or two, as they are quick
	for _, s := range all {
		if s.Executor != "driver" && s.Executor != "0" && s.Executor != "1" {
			later.WeftBlocks += s.WeftBlocks
		}
	}
	if later.WeftBlocks == 0 {
		t.Errorf("executors that came later did not use weft: %+v", all)
	}
	if sum.Leases != 0 || sum.Leaks != 0 {
		t.Errorf("leases were not given back: %+v", all)
	}
	if sum.WeftBlocks < jobs["groupByKey"].RemoteBlocks {
		t.Errorf("not all blocks of living executors came by weft: %+v", all)
	}
	left := jobs["bigblocks"].RemoteBlocks
	if left == 0 || sum.NettyBlocks != left || sum.Fallbacks["peer_unknown"] != left || len(sum.Fallbacks) != 1 {
		t.Errorf("of %d blocks of ended executors: %+v", left, all)
	}
	r.checkWarnings(t, "peer_unknown")
	c.AwaitIdle(t, 30*time.Second)
}

// checkAllByNetty checks that weft moved nothing, and that every block is counted once as a fallback for one of these reasons.
func (r *Run) checkAllByNetty(t testing.TB, reasons ...string) {
	t.Helper()
	all := r.Summaries(t)
	if len(all) != 3 {
		t.Fatalf("%d summaries instead of those of the driver and two executors: %+v", len(all), all)
	}
	sum := Total(all)
	t.Logf("%d blocks by Netty: %v", sum.NettyBlocks, sum.Fallbacks)
	if sum.WeftBlocks != 0 || sum.WeftBytes != 0 {
		t.Errorf("weft moved blocks: %+v", all)
	}
	var counted, remote int64
	for reason, n := range sum.Fallbacks {
		counted += n
		if !slices.Contains(reasons, reason) {
			t.Errorf("%d blocks went by Netty because of %s, which was not to be", n, reason)
		}
	}
	for _, job := range r.Shuffled(t) {
		remote += job.RemoteBlocks
	}
	if counted != sum.NettyBlocks || counted < remote {
		t.Errorf("%d fallbacks of %d blocks by Netty, of which Spark counts %d as shuffled: %+v", counted, sum.NettyBlocks, remote, all)
	}
}
