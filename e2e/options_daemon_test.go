//go:build e2e

package e2e

import (
	"testing"
	"time"
)

// TestTwoApplications runs two applications at the same time. On each host one daemon serves both.
func TestTwoApplications(t *testing.T) {
	c := cluster(t, "3.5.9", 2)
	conf := c.WithWeft().With(shortGrace).With(Conf{"spark.cores.max": "2", "spark.executor.cores": "1"})
	runs := []*Run{c.StartStopping(t, conf, "bigblocks"), c.StartStopping(t, conf, "bigblocks")}
	for _, r := range runs {
		r.Await(t, "mapped")
	}
	for _, host := range []string{Host1, Host2} {
		if daemons := c.Pids(t, host, "weft"); len(daemons) != 1 {
			t.Errorf("%s has %d daemons", host, len(daemons))
		}
		apps := map[string]int{}
		for _, s := range c.Status(t, host).Sessions {
			apps[s.App]++
		}
		if len(apps) != 2 {
			t.Errorf("the daemon of %s serves %v, not two applications", host, apps)
		}
	}
	for _, r := range runs {
		r.Release(t, "go")
		r.Release(t, "continue")
	}
	for _, r := range runs {
		r.Wait(t)
		r.checkResults(t, 1)
		r.checkAllByWeft(t)
		r.checkWarnings(t)
	}
	c.AwaitIdle(t, 30*time.Second)
}

// externalDir is where a service keeps its sockets.
const externalDir = "/run/weft"

// TestExternalDaemon runs an application with daemons that run as a service, which are replaced by others in its midst, and again when they are gone: then every block goes by Netty,
// and nobody starts a daemon.
func TestExternalDaemon(t *testing.T) {
	c := cluster(t, "4.1.3", 2)
	conf := c.WithWeft().With(Conf{"spark.weft.daemon.mode": "external", "spark.weft.socket.dir": externalDir})
	jobs := []string{"groupByKey", "broadcast", "taskresult"}

	t.Run("service", func(t *testing.T) {
		pids := map[string]int{}
		for _, host := range c.Hosts {
			c.Background(t, "daemon-"+host, host, c.Weft(), "daemon", "--socket-dir", externalDir)
		}
		for _, host := range c.Hosts {
			pids[host] = c.awaitDaemon(t, host)
		}
		r := c.Submit(t, conf, jobs...)
		r.checkResults(t, len(jobs))
		r.checkAllByWeft(t)
		r.checkWarnings(t)
		for _, host := range c.Hosts {
			s := c.Status(t, host, "--socket-dir", externalDir)
			if s == nil || s.PID != pids[host] || len(s.Sessions) != 0 {
				t.Errorf("the daemon of %s does not go on without sessions: %+v", host, s)
			}
		}
	})
	t.Run("replaced", func(t *testing.T) { testServiceReplaced(t, c, conf) })
	t.Run("absent", func(t *testing.T) {
		r := c.Submit(t, conf.With(Conf{"spark.weft.fetch.timeuot": "5s"}), jobs...)
		r.checkResults(t, len(jobs))
		r.checkAllByNetty(t, "daemon_gone", "peer_unknown")
		r.checkWarnings(t, "no session with this node's daemon", "peer_unknown", "these keys do nothing")
		c.checkNoDaemon(t)
	})
}

// checkNoDaemon checks, right after an application's end, that nobody started a daemon: it would still be there, for its grace time.
func (c *Cluster) checkNoDaemon(t *testing.T) {
	t.Helper()
	for _, host := range c.Hosts {
		if daemons := c.Pids(t, host, "weft"); len(daemons) != 0 {
			t.Errorf("%s runs daemons: %v", host, daemons)
		}
	}
	c.AwaitIdle(t, 30*time.Second)
}

// awaitDaemon waits until the service of a host answers, and returns its pid.
func (c *Cluster) awaitDaemon(t *testing.T, host string) int {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if s := c.Status(t, host, "--socket-dir", externalDir); s != nil {
			return s.PID
		}
		if time.Now().After(deadline) {
			t.Fatalf("no daemon on %s in 30 s", host)
		}
	}
}
