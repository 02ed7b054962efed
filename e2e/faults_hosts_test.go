//go:build e2e

package e2e

import (
	"syscall"
	"testing"
	"time"

	"weft/internal/status"
)

// pause is how long TestPausedJVM stops an executor: as long as the time-out of a fetch.
const pause = 30 * time.Second

// TestPausedJVM stops an executor that holds leases. Meanwhile another application reads a block of 3 GiB through an arena of 64 MiB. When
// the executor goes on it still has its leases, and ends its tasks without having left a block to Spark.
func TestPausedJVM(t *testing.T) {
	c := cluster(t, "3.5.9", 2, "--cores", "4")
	r := c.StartStopping(t, c.WithWeft().With(Conf{"spark.executor.cores": "2", "spark.cores.max": "4"}), "bigblocks:as=paused")
	r.Await(t, "paused/mapped")
	r.Release(t, "paused/go")
	r.Await(t, "paused/reducing")
	// Four blocks for each of two tasks, before a task took any.
	c.eventually(t, "the executor holds leases", func() bool { return leases(c.Status(t, Host2)) >= 6 })
	before := c.Status(t, Host2)
	pid := c.Signal(t, Host2, "executor", syscall.SIGSTOP)
	paused := make(chan *status.Status)
	go func() {
		time.Sleep(pause) // it is nothing but time
		s := c.look(Host2)
		_ = syscall.Kill(pid, syscall.SIGCONT)
		paused <- s
	}()
	t.Run("HugeBlock", func(t *testing.T) { testHugeBlock(t, c) })
	after := <-paused
	if after == nil || after.PID != before.PID || leases(after) != leases(before) {
		t.Errorf("before the pause: %+v, after: %+v", before, after)
	}
	r.Release(t, "paused/continue")
	r.Wait(t)
	r.checkResults(t, 1)
	if sum := r.checkGivenBack(t); sum.NettyBlocks != 0 || len(sum.Fallbacks) != 0 {
		t.Errorf("blocks were left to Spark: %+v", sum)
	}
	c.checkLeft(t)
}

func testHugeBlock(t *testing.T, c *Cluster) {
	const length = 3 << 30
	r := c.Submit(t, c.WithWeft().With(Conf{
		"spark.executor.cores":      "1",
		"spark.cores.max":           "2",
		"spark.weft.socket.dir":     "/tmp/weft-huge",
		"spark.weft.daemon.grace":   "1s",
		"spark.weft.memory.session": "64m",
		"spark.weft.memory.region":  "16m",
		// Seconds of what has nothing to do with the block's way.
		"spark.shuffle.compress":          "false",
		"spark.executor.extraJavaOptions": "-XX:TieredStopAtLevel=4",
	}), "hugeblock")
	r.checkResults(t, 1)
	sum := r.checkGivenBack(t)
	if sum.WeftBytes < length || sum.NettyBlocks != 0 {
		t.Errorf("not all came by weft: %+v", sum)
		r.checkWarnings(t) // tells why
	}
	if job := r.Shuffled(t)["hugeblock"]; job.BytesToFiles < length || job.RemoteBlocks != 1 {
		t.Errorf("%+v", *job)
	}
}

// TestThreeHosts has a host without a daemon at first. What its executor reads and has goes by Netty, the rest by weft. Then it gets its
// daemon; and its executor leaves, whose map outputs Spark moves to the others: nobody registered them there, so the executors are asked.
func TestThreeHosts(t *testing.T) {
	c := cluster(t, "3.5.9", 3)
	t.Cleanup(func() { c.checkLeft(t) })
	for _, host := range []string{Driver, Host1, Host2} {
		c.Daemon(t, host, c.Weft())
	}
	b := c.startBroken(t, c.WithWeft().With(Conf{
		"spark.weft.daemon.mode":                                  "external",
		"spark.weft.socket.dir":                                   externalDir,
		"spark.cores.max":                                         "6",
		"spark.decommission.enabled":                              "true",
		"spark.storage.decommission.enabled":                      "true",
		"spark.storage.decommission.shuffleBlocks.enabled":        "true",
		"spark.storage.decommission.replicationReattemptInterval": "1s",
	}), []fault{{"mixed", "bigblocks", nil}, {"moved", "bigblocks", nil}})

	b.job = "mixed"
	b.toMapped(t)
	b.release(t)
	b.awaitEnd(t)
	for _, host := range []string{Host1, Host2} {
		s := c.Status(t, host, "--socket-dir", externalDir)
		if blocks(s.Fallbacks) == 0 || received(s) == 0 {
			t.Errorf("%s did not read from both kinds of hosts: %+v", host, s)
		}
	}

	b.job = "moved"
	c.Daemon(t, Host3, c.Weft())
	b.eventually(t, "the executor of the third host joins", func() bool { return c.sessions(Host3, "--socket-dir", externalDir) == 1 })
	here := b.mapOutputFiles(t, ".data", Host1, Host2)
	left := c.Signal(t, Host3, "executor", syscall.SIGPWR) // decommissioning
	b.eventually(t, "the executor leaves", func() bool { return syscall.Kill(left, 0) == syscall.ESRCH })
	if now := b.mapOutputFiles(t, ".data", Host1, Host2); len(here) == 8 || len(now) != 8 {
		t.Errorf("%d of 8 map outputs were on the other hosts before, %d after", len(here), len(now))
	}
	before := c.fallbacks(t, Host1, Host2, Host3)
	b.release(t)
	b.Wait(t)
	if after := c.fallbacks(t, Host1, Host2, Host3); after != before {
		t.Errorf("%d blocks were left to Spark", after-before)
	}
	b.checkResults(t, 2)
	b.checkGivenBack(t)
	for name, job := range b.Shuffled(t) {
		t.Logf("%s: %+v", name, *job)
		if job.FetchFailures != 0 || job.StageRetries != 0 {
			t.Errorf("%s: %+v", name, *job)
		}
	}
}
