//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mapOutputs is how many map outputs the job bigblocks has.
const mapOutputs = 8

// TestOutlive ends executors between a map stage and the reduce stage that reads it. What their daemons hold is used on; what is really lost
// is computed again.
func TestOutlive(t *testing.T) {
	for _, version := range []string{"4.1.3", "3.5.9"} {
		t.Run(version+"/killed", func(t *testing.T) { testKilled(t, outliveCluster(t, version)) })
		t.Run(version+"/released", func(t *testing.T) { testReleased(t, outliveCluster(t, version)) })
		t.Run(version+"/off", func(t *testing.T) {
			testOff(t, outliveCluster(t, version), Conf{"spark.weft.outlive": "false"})
		})
		t.Run(version+"/driver without weft", func(t *testing.T) {
			testOff(t, outliveCluster(t, version), Conf{"spark.driver.extraJavaOptions": "-Dio.netty.transport.noNative=true"})
		})
		t.Run(version+"/not kept", func(t *testing.T) { testNotKept(t, outliveCluster(t, version)) })
		t.Run(version+"/daemon killed", func(t *testing.T) { testDaemonKilled(t, outliveCluster(t, version), "tcp", nil, 0) })
		t.Run(version+"/daemon killed, encrypted", func(t *testing.T) { testDaemonKilledEncrypted(t, version, networkCrypto, 0) })
		t.Run(version+"/daemon replaced", func(t *testing.T) { testDaemonReplaced(t, outliveCluster(t, version)) })
		t.Run(version+"/daemon lost", func(t *testing.T) { testDaemonLost(t, outliveCluster(t, version)) })
	}
	// The driver ends a connection on which TLS does not begin after 10 s, also that by which a daemon sees that it lives.
	t.Run("4.1.3/daemon killed, ssl", func(t *testing.T) { testDaemonKilledEncrypted(t, "4.1.3", sslConf(t), 15*time.Second) })
}

func outliveCluster(t *testing.T, version string, args ...string) *Cluster {
	t.Helper()
	return cluster(t, version, 2, append(args, "--cores", "4")...)
}

// fourExecutors are two on each host.
var fourExecutors = Conf{
	"spark.executor.cores":          "2",
	"spark.cores.max":               "8",
	"spark.weft.outlive":            "true",
	"spark.weft.daemon.grace":       "1s",
	"spark.shuffle.io.retryWait":    "100ms",
	"spark.reducer.maxSizeInFlight": "2m",
}

// executors are the running ones' ids by pid, as their daemons know them.
func (c *Cluster) executors(hosts ...string) map[int]string {
	all := map[int]string{}
	for _, host := range hosts {
		if s := c.look(host); s != nil {
			for _, session := range s.Sessions {
				if session.Executor != "driver" {
					all[int(session.PID)] = session.Executor
				}
			}
		}
	}
	return all
}

// testKilled kills an executor on each host: no task runs again.
func testKilled(t *testing.T, c *Cluster) {
	r := c.StartStopping(t, c.WithWeft().With(fourExecutors), "bigblocks")
	r.Await(t, "mapped")
	for _, host := range []string{Host1, Host2} {
		c.eventually(t, "both executors of "+host+" have a session", func() bool { return len(c.executors(host)) == 2 })
		killed := c.Pids(t, host, "executor")[0]
		kill(t, killed)
		c.eventually(t, "the daemon knows that it is gone", func() bool { return c.executors(host)[killed] == "" })
	}
	r.Release(t, "go")
	r.Release(t, "continue")
	r.Wait(t)
	r.checkNothingAgain(t)
}

// testOff kills an executor where nothing was promised, or that was taken back: Spark computes its map outputs again, before they are asked for.
func testOff(t *testing.T, c *Cluster, conf Conf) {
	r := c.StartStopping(t, c.WithWeft().With(fourExecutors).With(conf), "bigblocks")
	r.Await(t, "mapped")
	killed := c.Pids(t, Host1, "executor")[0]
	kill(t, killed)
	c.eventually(t, "the driver knows what went with it", func() bool {
		return strings.Contains(r.stderr.String(), "Shuffle files lost for executor")
	})
	r.Release(t, "go")
	r.Release(t, "continue")
	r.Wait(t)
	r.checkResults(t, 1)
	job := r.Shuffled(t)["bigblocks"]
	t.Logf("%+v", *job)
	if job.MapTasks == mapOutputs {
		t.Error("the test proves nothing: no task of a lost executor ran again")
	}
	if job.FetchFailures != 0 {
		t.Errorf("what was lost was asked for: %+v", *job)
	}
	c.checkNothingKept(t)
}

// testNotKept kills an executor whose daemon keeps nothing, though Spark was promised that it does: Spark is told, and computes what is lost
// before it is asked for.
func testNotKept(t *testing.T, c *Cluster) {
	for _, host := range c.Hosts {
		c.Daemon(t, host, c.Weft())
	}
	if err := os.RemoveAll(filepath.Join(c.dir, Host1, externalDir, "keeping")); err != nil {
		t.Fatal(err)
	}
	r := c.StartStopping(t, c.WithWeft().With(fourExecutors).With(Conf{
		"spark.weft.daemon.mode": "external", "spark.weft.socket.dir": externalDir,
	}), "bigblocks")
	r.Await(t, "mapped")
	killed := c.Pids(t, Host1, "executor")[0]
	kill(t, killed)
	c.eventually(t, "Spark is told that its map outputs are lost", func() bool {
		return strings.Contains(r.stderr.String(), "map outputs are lost")
	})
	r.Release(t, "go")
	r.Release(t, "continue")
	r.Wait(t)
	r.checkResults(t, 1)
	job := r.Shuffled(t)["bigblocks"]
	t.Logf("%+v", *job)
	if job.MapTasks == mapOutputs || job.MapTasks == 2*mapOutputs || job.FetchFailures != 0 {
		t.Errorf("not what is lost alone was computed again, before it was asked for: %+v", *job)
	}
	c.awaitNoLinks(t)
}

// testReleased lets all executors but one go, and come back, by dynamic allocation.
func testReleased(t *testing.T, c *Cluster) {
	r := c.StartStopping(t, c.WithWeft().With(fourExecutors).With(Conf{
		"spark.dynamicAllocation.enabled":             "true",
		"spark.dynamicAllocation.minExecutors":        "1",
		"spark.dynamicAllocation.initialExecutors":    "4",
		"spark.dynamicAllocation.maxExecutors":        "4",
		"spark.dynamicAllocation.executorIdleTimeout": "5s",
	}), "bigblocks")
	running := func() int { return len(c.Pids(t, Host1, "executor")) + len(c.Pids(t, Host2, "executor")) }
	r.Await(t, "mapped")
	c.eventually(t, "one executor is left", func() bool { return running() == 1 })
	r.Release(t, "go")
	r.Await(t, "reducing")
	c.eventually(t, "four executors are there again", func() bool { return running() == 4 })
	r.Release(t, "continue")
	r.Wait(t)
	r.checkNothingAgain(t)
}

// testDaemonLost kills the executors of a host and its daemon, and removes what the next one there has to know: their map outputs are lost,
// and theirs alone run again.
func testDaemonLost(t *testing.T, c *Cluster) {
	r := c.StartStopping(t, c.WithWeft().With(fourExecutors), "bigblocks")
	r.Await(t, "mapped")
	var lost []string
	for pid, id := range c.executors(Host1) {
		lost = append(lost, id)
		kill(t, pid)
	}
	c.Signal(t, Host1, "weft", syscall.SIGSTOP)
	if err := os.RemoveAll(filepath.Join(c.socketDir(Host1), "keeping")); err != nil {
		t.Fatal(err)
	}
	c.Signal(t, Host1, "weft", syscall.SIGKILL)
	r.Release(t, "go")
	r.Release(t, "continue")
	r.Wait(t)
	r.checkResults(t, 1)
	job := r.Shuffled(t)["bigblocks"]
	t.Logf("%+v, lost %v", *job, lost)
	if job.MapTasks == mapOutputs || job.MapTasks == 2*mapOutputs || job.StageRetries == 0 {
		t.Errorf("not the lost map outputs alone were computed again: %+v", *job)
	}
	for _, executor := range job.FailedFrom {
		if !slices.Contains(lost, executor) {
			t.Errorf("a fetch failure names executor %s, which was not lost: %v", executor, lost)
		}
	}
	if len(job.FailedFrom) == 0 {
		t.Error("no fetch failed")
	}
	c.checkNothingKept(t)
}

// checkNothingAgain checks that every map output was computed once, nothing failed, and nothing is left.
func (r *Run) checkNothingAgain(t *testing.T) {
	t.Helper()
	r.checkComputedOnce(t)
	r.cluster.checkLeft(t)
	r.cluster.checkNothingKept(t)
}

func (r *Run) checkComputedOnce(t *testing.T) {
	t.Helper()
	r.checkResults(t, 1)
	job := r.Shuffled(t)["bigblocks"]
	t.Logf("%+v", *job)
	if job.MapTasks != mapOutputs || job.FetchFailures != 0 || job.StageRetries != 0 {
		t.Errorf("map outputs were lost with their executors: %+v", *job)
	}
	if job.RemoteBlocks == 0 {
		t.Error("nothing was read from other executors")
	}
}

// checkNothingKept checks that daemons leave when the application has ended, and their links with them. The Worker removes those of a daemon
// that was killed; its sockets are its successor's to remove, if the host had one.
func (c *Cluster) checkNothingKept(t *testing.T) {
	t.Helper()
	c.AwaitIdle(t, patience)
	c.awaitNoLinks(t)
}

// awaitNoLinks waits until no host has a link to a map output.
func (c *Cluster) awaitNoLinks(t *testing.T) {
	t.Helper()
	c.eventually(t, "no link is left", func() bool {
		found := false
		for _, host := range c.Hosts {
			_ = filepath.WalkDir(filepath.Join(c.dir, host, "tmp"), func(path string, _ os.DirEntry, err error) error {
				kept, _ := filepath.Match("weft-kept-*", filepath.Base(path))
				found = found || (err == nil && kept)
				return nil
			})
		}
		return !found
	})
}
