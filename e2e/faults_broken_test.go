//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"weft/internal/status"
)

// patience bounds what Spark or a daemon does by itself.
const patience = time.Minute

// broken is an application of one job after the other, each with a fault.
type broken struct {
	*Cluster
	*Run
	jobs []string
	job  string // the one that runs
}

// startBroken starts it. Reduce tasks fetch one block of 2 MiB at a time, so when one stops after its first record there is more to come.
func (c *Cluster) startBroken(t *testing.T, conf Conf, faults []fault) *broken {
	t.Helper()
	b := &broken{Cluster: c}
	var jobs []string
	for _, f := range faults {
		b.jobs = append(b.jobs, f.name)
		jobs = append(jobs, f.job+":as="+f.name)
	}
	b.Run = c.StartStopping(t, conf.With(Conf{
		"spark.reducer.maxSizeInFlight": "2m",
		"spark.shuffle.io.retryWait":    "100ms", // else Netty takes 15 s to give up what a fault took away
		"spark.weft.peer.retry":         "100ms",
	}), jobs...)
	return b
}

// toMapped waits until the map stage has ended.
func (b *broken) toMapped(t *testing.T) {
	t.Helper()
	b.Await(t, b.job+"/mapped")
}

// toReducing lets reduce tasks start, and waits until one has read its first record.
func (b *broken) toReducing(t *testing.T) {
	t.Helper()
	b.toMapped(t)
	b.Release(t, b.job+"/go")
	b.Await(t, b.job+"/reducing")
}

// release lets the job run to its end.
func (b *broken) release(t *testing.T) {
	t.Helper()
	b.Release(t, b.job+"/go")
	b.Release(t, b.job+"/continue")
}

func (b *broken) awaitEnd(t *testing.T) {
	t.Helper()
	if next := slices.Index(b.jobs, b.job) + 1; next < len(b.jobs) {
		b.Await(t, b.jobs[next]+"/mapped")
	} else {
		b.Wait(t)
	}
}

// mapOutputFiles lists the files of the shuffle written last.
func (b *broken) mapOutputFiles(t *testing.T, ext string, hosts ...string) (files []string) {
	t.Helper()
	newest := -1
	for _, host := range hosts {
		err := filepath.WalkDir(filepath.Join(b.dir, host, "tmp"), func(path string, _ fs.DirEntry, err error) error {
			var shuffle, mapID int
			if err != nil || filepath.Ext(path) != ext {
				return nil // Spark removes files meanwhile
			}
			if n, _ := fmt.Sscanf(filepath.Base(path), "shuffle_%d_%d_0", &shuffle, &mapID); n < 2 || shuffle < newest {
				return nil
			}
			if shuffle > newest {
				newest, files = shuffle, nil
			}
			files = append(files, path)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// mapOutputFile is that of the map output with the most bytes: of remoteblock, the one with the block. Spark puts its files anywhere.
func (b *broken) mapOutputFile(t *testing.T, ext string) string {
	t.Helper()
	var name string
	most := int64(-1)
	for _, data := range b.mapOutputFiles(t, ".data", b.Hosts...) {
		if info, err := os.Stat(data); err == nil && info.Size() > most {
			name, most = strings.TrimSuffix(filepath.Base(data), ".data"), info.Size()
		}
	}
	files := b.mapOutputFiles(t, ext, b.Hosts...)
	i := slices.IndexFunc(files, func(path string) bool { return filepath.Base(path) == name+ext })
	if i < 0 {
		t.Fatalf("no %s%s among %v", name, ext, files)
	}
	return files[i]
}

// failed is how many blocks the daemons of both hosts could not deliver for a reason.
func (b *broken) failed(t *testing.T, reason string) (n int64) {
	t.Helper()
	for _, host := range []string{Host1, Host2} {
		for _, count := range b.Status(t, host).Failed {
			if count.Reason == reason {
				n += count.Blocks
			}
		}
	}
	return n
}

// checkBadMapOutput lets the job run to its end, and checks that a daemon met what is wrong.
func (b *broken) checkBadMapOutput(t *testing.T) {
	t.Helper()
	before := b.failed(t, "bad_map_output")
	b.release(t)
	b.awaitEnd(t)
	if b.failed(t, "bad_map_output") == before {
		t.Error("no daemon met the bad map output")
	}
}

// look is Status where it is no news that no daemon runs.
func (c *Cluster) look(host string, args ...string) *status.Status {
	out, err := c.script("exec", append([]string{host, c.Weft(), "status", "--json"}, args...)...)
	s := new(status.Status)
	if err != nil || json.Unmarshal([]byte(out), s) != nil {
		return nil
	}
	return s
}

// sessions is how many the daemon of a host has; -1 where none runs.
func (c *Cluster) sessions(host string, args ...string) int {
	if s := c.look(host, args...); s != nil {
		return len(s.Sessions)
	}
	return -1
}

func (c *Cluster) eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s\n%s", patience, what, c.Script(t, "status"))
		}
	}
}

// socketDir is the default socket directory of a host, as seen from outside.
func (c *Cluster) socketDir(host string) string {
	return filepath.Join(c.dir, host, fmt.Sprintf("tmp/weft-%d", os.Getuid()))
}

// Daemon starts a daemon in externalDir, and ends it with the test.
func (c *Cluster) Daemon(t *testing.T, host, binary string) {
	t.Helper()
	c.daemon(t, "daemon-"+host, host, binary)
}

// buildPoisoning builds a daemon with all assertions, that fills freed memory with poison.
func buildPoisoning(t testing.TB) string {
	t.Helper()
	path := filepath.Join(current.dir, "weft-poisoning")
	build := exec.Command("go", "build", "-tags", "invariants,nobench", "-o", path, "./cmd/weft")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

// checkRejoined checks that a host has a daemon (again), and that its executors have found it.
func (c *Cluster) checkRejoined(t testing.TB, host string, executors int) {
	t.Helper()
	c.eventually(t, "the executors of "+host+" have a daemon", func() bool { return c.sessions(host) == executors })
}

var memfd = regexp.MustCompile(`(?m)^\S+ \S+ \S+ (\S+ \d+) +/memfd:`)

// segments are the devices and inodes of the shared memory that a process has mapped.
func segments(pid int) (all []string) {
	maps, _ := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	for _, m := range memfd.FindAllStringSubmatch(string(maps), -1) {
		all = append(all, m[1])
	}
	return all
}

// checkSegments checks that executors let go of the memory of a daemon that is gone.
func (c *Cluster) checkSegments(t testing.TB, host string) {
	t.Helper()
	c.eventually(t, "executors map nothing but the present daemon's segments", func() bool {
		var living []string
		for _, pid := range c.Pids(t, host, "weft") {
			living = append(living, segments(pid)...)
		}
		for _, pid := range c.Pids(t, host, "executor") {
			for _, segment := range segments(pid) {
				if !slices.Contains(living, segment) {
					return false
				}
			}
		}
		return true
	})
}

func parentOf(t testing.TB, pid int) (parent int) {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	if _, err := fmt.Sscanf(after, "%1s %d", new(string), &parent); err != nil {
		t.Fatalf("%v: %s", err, stat)
	}
	return parent
}

var timeLine = regexp.MustCompile(`(?m)^TIME .*$`)

// checkGivenBack checks that no JVM that ended in peace had a lease left, and returns the sum of what they say.
func (r *Run) checkGivenBack(t testing.TB) Summary {
	t.Helper()
	all := r.Summaries(t)
	sum := Total(all)
	t.Logf("%+v", sum)
	t.Log(timeLine.FindAllString(r.stdout.String(), -1))
	if len(all) < 2 {
		t.Errorf("%d summaries", len(all))
	}
	if sum.Leases != 0 || sum.Leaks != 0 {
		t.Errorf("leases were not given back: %+v", all)
	}
	return sum
}

var trouble = regexp.MustCompile(`(?m)^.*(panic|fatal error|SIGBUS|invariant|please report).*$`)

// checkLeft checks that no process and no socket is left behind, and that no daemon stumbled.
func (c *Cluster) checkLeft(t testing.TB) {
	t.Helper()
	c.AwaitIdle(t, patience)
	for _, pattern := range []string{"h*/tmp/weft-*/*.sock", "h*/run/weft/*.sock"} {
		if left, _ := filepath.Glob(filepath.Join(c.dir, pattern)); len(left) != 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	c.checkLogs(t)
}

// checkLogs checks that no daemon stumbled.
func (c *Cluster) checkLogs(t testing.TB) {
	t.Helper()
	for _, pattern := range []string{"h*/tmp/weft-*/daemon.log", "log/daemon-*.log"} {
		logs, _ := filepath.Glob(filepath.Join(c.dir, pattern))
		for _, log := range logs {
			if b, err := os.ReadFile(log); err != nil || trouble.Match(b) {
				t.Errorf("%s: %v: %s", log, err, trouble.FindAll(b, 5))
			}
		}
	}
}

func fetches(s *status.Status) (n int) {
	for _, session := range s.Sessions {
		n += session.Fetches
	}
	return n
}

func leases(s *status.Status) (n int) {
	for _, session := range s.Sessions {
		n += session.Receive.Leases
	}
	return n
}

func blocks(counts []status.Count) (n int64) {
	for _, c := range counts {
		n += c.Blocks
	}
	return n
}

// received is how many blocks a daemon got from peers.
func received(s *status.Status) (n int64) {
	for _, transfer := range s.Transfers {
		if transfer.Direction == "received" && transfer.Transport != "mem" {
			n += transfer.Blocks
		}
	}
	return n
}

// fallbacks is how many blocks the executors of these hosts left to Spark.
func (c *Cluster) fallbacks(t testing.TB, hosts ...string) (n int64) {
	t.Helper()
	for _, host := range hosts {
		n += blocks(c.Status(t, host, "--socket-dir", externalDir).Fallbacks)
	}
	return n
}
