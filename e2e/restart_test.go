//go:build e2e

package e2e

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"weft/internal/status"
)

// peerPort is that of a service which is to be found by who knew the one before it.
const peerPort = "7400"

// testDaemonKilled kills an executor of a host, and then its daemon, while others fetch from it what the executor left. Its other executor
// starts a daemon, which has that, and tells the driver where it is now. Daemons reach each other by the given transport; between the executor's end
// and the reduce stage lies some time.
func testDaemonKilled(t *testing.T, c *Cluster, transport string, conf Conf, between time.Duration) {
	// Two blocks are under way to each task when it stops, and four are to come. With one, the tasks of the other host may all have begun with
	// their neighbour's: then they have no connection to this one's daemon.
	r := c.StartStopping(t, c.WithWeft().With(fourExecutors).With(conf).With(Conf{"spark.reducer.maxSizeInFlight": "5m"}), "bigblocks")
	r.Await(t, "mapped")
	c.eventually(t, "both executors have a session", func() bool { return len(c.executors(Host1)) == 2 })
	killed := c.Pids(t, Host1, "executor")[0]
	kill(t, killed)
	c.eventually(t, "the daemon knows that it is gone", func() bool { return c.executors(Host1)[killed] == "" })
	time.Sleep(between)
	r.Release(t, "go")
	r.Await(t, "reducing")
	before := c.Status(t, Host1).DaemonID
	c.eventually(t, "the other host has a connection to it over "+transport, func() bool {
		s := c.look(Host2)
		return s != nil && slices.ContainsFunc(s.Peers, func(p status.Peer) bool { return p.DaemonID == before && p.Transport == transport })
	})
	c.Signal(t, Host1, "weft", syscall.SIGSTOP)
	r.Release(t, "continue")
	c.eventually(t, "a fetch from the stopped daemon is under way", func() bool { s := c.look(Host2); return s != nil && fetches(s) > 0 })
	c.Signal(t, Host1, "weft", syscall.SIGKILL)
	r.Wait(t)
	r.checkNothingAgain(t)
	r.checkAskedAgain(t)
}

// testDaemonKilledEncrypted is the same with Spark's connections and weft's encrypted.
func testDaemonKilledEncrypted(t *testing.T, version string, conf Conf, between time.Duration) {
	testDaemonKilled(t, outliveCluster(t, version, daemonConf(conf)...), "tcp+tls", conf, between)
}

// testDaemonReplaced kills both executors of a host whose daemon is a service, and puts another binary in the service's place while the rest
// of the application reads what they left.
func testDaemonReplaced(t *testing.T, c *Cluster) {
	other := buildPoisoning(t)
	args := []string{"--net-port", peerPort}
	for _, host := range c.Hosts {
		c.daemon(t, "daemon-"+host, host, c.Weft(), args...)
	}
	r := c.StartStopping(t, c.WithWeft().With(fourExecutors).With(Conf{
		"spark.weft.daemon.mode": "external", "spark.weft.socket.dir": externalDir,
	}), "bigblocks")
	r.Await(t, "mapped")
	look := func() *status.Status { return c.look(Host1, "--socket-dir", externalDir) }
	for _, pid := range c.Pids(t, Host1, "executor") {
		kill(t, pid)
	}
	c.eventually(t, "the daemon serves what both left", func() bool { s := look(); return s != nil && len(s.Departed) == 2 })
	r.Release(t, "go")
	r.Await(t, "reducing")
	c.replaceDaemon(t, Host1, other, args...)
	r.Release(t, "continue")
	r.Wait(t)
	r.checkComputedOnce(t)
	c.awaitNoLinks(t)
}

// testServiceReplaced puts another binary in the place of each daemon while reduce tasks run. Nothing is lost or runs again, though nothing was
// promised: executors find the new one and register what they have.
func testServiceReplaced(t *testing.T, c *Cluster, conf Conf) {
	other := buildPoisoning(t)
	for _, host := range c.Hosts {
		c.Daemon(t, host, c.Weft())
	}
	r := c.StartStopping(t, conf.With(Conf{"spark.reducer.maxSizeInFlight": "2m", "spark.weft.peer.retry": "100ms"}), "bigblocks")
	r.Await(t, "mapped")
	r.Release(t, "go")
	r.Await(t, "reducing")
	before := map[string]int{}
	for _, host := range []string{Host1, Host2} {
		before[host] = len(c.Status(t, host, "--socket-dir", externalDir).Sessions)
		c.replaceDaemon(t, host, other)
	}
	for _, host := range []string{Host1, Host2} {
		c.eventually(t, "its executors have found the new daemon of "+host, func() bool {
			return before[host] > 0 && c.sessions(host, "--socket-dir", externalDir) == before[host]
		})
	}
	r.Release(t, "continue")
	r.Wait(t)
	r.checkComputedOnce(t)
	if job := r.Shuffled(t)["bigblocks"]; job.FailedTasks != 0 {
		t.Errorf("tasks failed: %+v", *job)
	}
	if received := received(c.Status(t, Host1, "--socket-dir", externalDir)) + received(c.Status(t, Host2, "--socket-dir", externalDir)); received == 0 {
		t.Error("no block came by the new daemons")
	}
}

// daemon starts one in externalDir with these options, and ends it with the test.
func (c *Cluster) daemon(t *testing.T, name, host, binary string, args ...string) {
	t.Helper()
	c.Background(t, name, host, append([]string{binary, "daemon", "--socket-dir", externalDir}, args...)...)
	c.awaitDaemon(t, host)
}

// replaceDaemon ends the service of a host in good order, and starts another binary in its place.
func (c *Cluster) replaceDaemon(t *testing.T, host, binary string, args ...string) {
	t.Helper()
	c.Signal(t, host, "weft", syscall.SIGTERM)
	c.eventually(t, "the daemon has ended", func() bool { return len(c.Pids(t, host, "weft")) == 0 })
	c.daemon(t, "daemon-"+host+"-next", host, binary, args...)
}

// checkAskedAgain checks that blocks which Spark's own client failed came by weft after all.
func (r *Run) checkAskedAgain(t *testing.T) {
	t.Helper()
	for _, log := range r.ExecutorLogs(t) {
		if strings.Contains(log, "are asked of weft again") {
			return
		}
	}
	t.Error("the test proves nothing: nothing was asked for again")
}
