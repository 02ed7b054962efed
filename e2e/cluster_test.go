//go:build e2e || rdma

package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"weft/internal/status"
)

// Host names of a cluster. Driver also holds the Master; the others hold a Worker each.
const (
	Driver = "h0"
	Host1  = "h1"
	Host2  = "h2"
	Host3  = "h3"
)

// root is the source tree.
var root = func() string {
	dir, err := filepath.Abs("..")
	if err != nil {
		panic(err)
	}
	return dir
}()

// Cluster is a running scripts/cluster. Its directory holds copies of what was built, so that building during a test changes nothing.
type Cluster struct {
	Spark string // version
	Hosts []string
	dir   string
}

func (c *Cluster) WeftJar() string { return filepath.Join(c.dir, "weft-spark.jar") }
func (c *Cluster) Weft() string    { return filepath.Join(c.dir, "weft") }

// startCluster starts one in build/e2e/name; what an aborted run left there is removed first.
func startCluster(name, version string, hosts int, args ...string) (*Cluster, error) {
	c := newCluster(name, version, hosts)
	if err := c.stop(); err != nil {
		return nil, err
	}
	if err := c.prepare(); err != nil {
		return nil, err
	}
	_, err := c.script("up", append([]string{"--spark", version, "--hosts", strconv.Itoa(hosts)}, args...)...)
	return c, err
}

func newCluster(name, version string, hosts int) *Cluster {
	return &Cluster{Spark: version, Hosts: []string{Driver, Host1, Host2, Host3}[:hosts+1], dir: filepath.Join(root, "build/e2e", name)}
}

// prepare makes the directory anew.
func (c *Cluster) prepare() error {
	if err := os.RemoveAll(c.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return err
	}
	for _, file := range []string{"daemon/weft", "weft-spark.jar", "weft-it.jar"} {
		if out, err := exec.Command("cp", filepath.Join(root, "build", file), c.dir).CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s (run 'make build')", err, out)
		}
	}
	return nil
}

func (c *Cluster) stop() error {
	_, err := c.script("down")
	return err
}

func (c *Cluster) command(ctx context.Context, verb string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(root, "scripts/cluster"), append([]string{verb, "--dir", c.dir}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	return cmd
}

func (c *Cluster) script(verb string, args ...string) (string, error) {
	var out, log bytes.Buffer
	cmd := c.command(context.Background(), verb, args...)
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("cluster %s %s: %w: %s", verb, strings.Join(args, " "), err, strings.TrimSpace(log.String()))
	}
	return out.String(), nil
}

// Script runs a command of scripts/cluster and returns what it printed.
func (c *Cluster) Script(t testing.TB, verb string, args ...string) string {
	t.Helper()
	out, err := c.script(verb, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Exec runs a command on a host to its end.
func (c *Cluster) Exec(t testing.TB, host string, command ...string) string {
	t.Helper()
	return c.Script(t, "exec", append([]string{host}, command...)...)
}

// Background starts a command on a host and ends it with the test. Its output goes to a log of the cluster with that name.
func (c *Cluster) Background(t testing.TB, name, host string, command ...string) *exec.Cmd {
	t.Helper()
	log, err := os.Create(filepath.Join(c.dir, "log", name+".log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := c.command(context.Background(), "exec", append([]string{host}, command...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		log.Close()
	})
	return cmd
}

// Link changes the cable of a host until the end of the test; see scripts/cluster --help.
func (c *Cluster) Link(t testing.TB, host string, settings ...string) {
	t.Helper()
	c.Script(t, "link", append([]string{host}, settings...)...)
	t.Cleanup(func() { c.Script(t, "link", host, "clear", "up") })
}

// Pids returns the processes of a role on a host: master, worker, executor, driver, weft or other.
func (c *Cluster) Pids(t testing.TB, host, role string) (pids []int) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(c.Script(t, "pids", host, role)), "\n") {
		var h, r string
		var pid int
		if _, err := fmt.Sscan(line, &h, &pid, &r); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// kill is kill -9.
func kill(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatalf("kill %d: %v", pid, err)
	}
}

// Signal sends a signal to the one process of a role on a host, and returns its pid.
func (c *Cluster) Signal(t testing.TB, host, role string, signal syscall.Signal) int {
	t.Helper()
	pids := c.Pids(t, host, role)
	if len(pids) != 1 {
		t.Fatalf("%s has %d processes of role %s, not 1:\n%s", host, len(pids), role, c.Script(t, "status"))
	}
	if err := syscall.Kill(pids[0], signal); err != nil {
		t.Fatalf("signal %v to %s %d on %s: %v", signal, role, pids[0], host, err)
	}
	return pids[0]
}

// Status asks the daemon of a host (in the default socket directory, unless others are given) for its status; nil where none runs.
func (c *Cluster) Status(t testing.TB, host string, args ...string) *status.Status {
	t.Helper()
	out, err := c.script("exec", append([]string{host, c.Weft(), "status", "--json"}, args...)...)
	if err != nil {
		t.Logf("no status of %s: %v", host, err)
		return nil
	}
	s := new(status.Status)
	if err := json.Unmarshal([]byte(out), s); err != nil {
		t.Fatalf("status of %s: %v\n%s", host, err, out)
	}
	return s
}

// AwaitIdle waits until nothing but Spark's own daemons runs on the hosts, and what may stay: a test that leaves a process behind fails.
func (c *Cluster) AwaitIdle(t testing.TB, limit time.Duration, mayStay ...string) {
	t.Helper()
	var left []string
	for deadline := time.Now().Add(limit); ; time.Sleep(100 * time.Millisecond) {
		left = nil
		for _, line := range strings.Split(strings.TrimSpace(c.Script(t, "pids")), "\n") {
			if role := line[strings.LastIndexByte(line, ' ')+1:]; !slices.Contains(append(mayStay, "master", "worker"), role) {
				left = append(left, line)
			}
		}
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("processes were left behind:\n%s", strings.Join(left, "\n"))
		}
	}
}
