//go:build e2e

package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weft/internal/chaos"
)

// hostFaultKind is a kind of fault of a host. do breaks something on the host in the middle of the job, and returns when that is shown to
// have happened and, where the fault lasts for a time, is over.
type hostFaultKind struct {
	chaos.Kind
	job string // the job that it happens in
	do  func(t *testing.T, f *hostFault)
}

// hostFault is one of them.
type hostFault struct {
	*broken
	*recovery
	host string
	arg  string
}

// moments of a job are words for where it has stopped.
func moments(r *rand.Rand) string { return []string{"mapped", "reducing"}[r.IntN(2)] }

// seconds are a time from a to b.
func seconds(a, b int) func(*rand.Rand) string {
	return func(r *rand.Rand) string {
		return (time.Duration(a*1000+r.IntN((b-a)*1000)) * time.Millisecond).Round(100 * time.Millisecond).String()
	}
}

// hostFaults are all kinds. A daemon that is stopped, or a link that swallows all, for longer than weft waits comes once for two or three times of
// the others, as it takes longer.
var hostFaults = []hostFaultKind{
	{chaos.Kind{Target: "daemon", Action: "kill", Weight: 3, Arg: moments}, "bigblocks", func(t *testing.T, f *hostFault) { f.killDaemon(t) }},
	{chaos.Kind{Target: "daemon", Action: "pause", Weight: 2, Arg: seconds(1, 3)}, "bigblocks", func(t *testing.T, f *hostFault) { f.pause(t, f.daemonPID(t)) }},
	{chaos.Kind{Target: "daemon", Action: "hang", Arg: seconds(11, 13)}, "bigblocks", func(t *testing.T, f *hostFault) { f.pause(t, f.daemonPID(t)) }},
	{chaos.Kind{Target: "sockets", Action: "remove", Weight: 2, Arg: moments}, "bigblocks", func(t *testing.T, f *hostFault) { f.removeSockets(t) }},
	{chaos.Kind{Target: "executor", Action: "kill", Weight: 2, Arg: moments}, "bigblocks", func(t *testing.T, f *hostFault) { f.killExecutor(t) }},
	{chaos.Kind{Target: "executor", Action: "pause", Weight: 2, Arg: seconds(1, 3)}, "bigblocks", func(t *testing.T, f *hostFault) { f.pause(t, f.Pids(t, f.host, "executor")[0]) }},
	{chaos.Kind{Target: "link", Action: "down", Weight: 2, Arg: seconds(1, 2)}, "bigblocks", func(t *testing.T, f *hostFault) { f.cable(t, "down", "down") }},
	{chaos.Kind{Target: "link", Action: "delay", Weight: 2, Arg: seconds(1, 3)}, "bigblocks", func(t *testing.T, f *hostFault) { f.cable(t, "relay", "delay", "20ms") }},
	{chaos.Kind{Target: "link", Action: "loss", Weight: 2, Arg: seconds(1, 3)}, "bigblocks", func(t *testing.T, f *hostFault) { f.cable(t, "relay", "loss", "3%") }},
	{chaos.Kind{Target: "link", Action: "hole", Arg: seconds(4, 5)}, "bigblocks", func(t *testing.T, f *hostFault) { f.cable(t, "relay", "loss", "100%") }},
	{chaos.Kind{Target: "file", Action: "truncate", Weight: 2}, "remoteblock", func(t *testing.T, f *hostFault) {
		f.breakFile(t, ".data", func(path string) error { return os.Truncate(path, 1000) })
	}},
	{chaos.Kind{Target: "file", Action: "remove", Weight: 2}, "remoteblock", func(t *testing.T, f *hostFault) { f.breakFile(t, ".data", f.removeAll) }},
	{chaos.Kind{Target: "file", Action: "index", Weight: 2}, "remoteblock", func(t *testing.T, f *hostFault) { f.breakFile(t, ".index", scramble) }},
}

func hostFaultOf(t *testing.T, f chaos.Fault) hostFaultKind {
	t.Helper()
	for _, k := range hostFaults {
		if k.Name() == f.Kind() && (f.Way == 1 || f.Way == 2) {
			return k
		}
	}
	t.Fatalf("there is no fault %q", f)
	return hostFaultKind{}
}

// moment is where the job has stopped when it happens: as the fault says, or else where it harms most.
func (k hostFaultKind) moment(f chaos.Fault) string {
	switch {
	case k.Target == "file":
		return "mapped"
	case f.Arg == "mapped":
		return f.Arg
	default:
		return "reducing"
	}
}

func (f *hostFault) daemonPID(t *testing.T) int {
	t.Helper()
	s := f.at(f.host)
	if s == nil {
		t.Fatalf("no daemon answers on %s\n%s", f.host, f.Script(t, "status"))
	}
	return s.PID
}

// killDaemon is kill -9.
func (f *hostFault) killDaemon(t *testing.T) { f.kill(t, f.daemonPID(t)) }

func (f *hostFault) kill(t *testing.T, pid int) {
	t.Helper()
	kill(t, pid)
	f.eventually(t, fmt.Sprintf("process %d of %s has ended", pid, f.host), func() bool { return strings.Contains("ZX", stateOf(pid)) })
}

// stateOf is the letter for a process's state in /proc; "" where there is none.
func stateOf(pid int) string {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return ""
	}
	_, after, _ := bytes.Cut(stat, []byte(") "))
	return string(after[:1])
}

// removeSockets removes the socket directory, with the binary in it, and then the daemon, for which another directory is made.
func (f *hostFault) removeSockets(t *testing.T) {
	pid := f.daemonPID(t)
	if err := os.RemoveAll(f.socketDir(f.host)); err != nil {
		t.Fatal(err)
	}
	f.kill(t, pid)
}

// killExecutor kills one of the host's; the Worker starts another.
func (f *hostFault) killExecutor(t *testing.T) {
	pid := f.Pids(t, f.host, "executor")[0]
	f.gone = int32(pid)
	f.kill(t, pid)
}

func (f *hostFault) lasts(t *testing.T) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(f.arg)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// pause stops a process for some time, in which the job goes on.
func (f *hostFault) pause(t *testing.T, pid int) {
	t.Helper()
	defer func() { _ = syscall.Kill(pid, syscall.SIGCONT) }()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatalf("stop %d on %s: %v", pid, f.host, err)
	}
	f.eventually(t, fmt.Sprintf("process %d of %s has stopped", pid, f.host), func() bool { return stateOf(pid) == "T" })
	f.release(t)
	time.Sleep(f.lasts(t)) // it is nothing but time
	if state := stateOf(pid); state != "T" {
		t.Errorf("process %d of %s was in state %q after %s", pid, f.host, state, f.arg)
	}
}

// cable changes the host's link for some time, in which the job goes on. The cluster's status has a word for it.
func (f *hostFault) cable(t *testing.T, word string, settings ...string) {
	t.Helper()
	defer f.Script(t, "link", f.host, "clear", "up")
	f.Script(t, "link", append([]string{f.host}, settings...)...)
	f.release(t)
	time.Sleep(f.lasts(t)) // it is nothing but time
	if state := f.link(t); !strings.Contains(state, word) {
		t.Errorf("the link of %s is %q, not %q", f.host, state, word)
	}
}

// link is what the cluster's status says of the host's link.
func (f *hostFault) link(t *testing.T) string {
	t.Helper()
	for line := range strings.Lines(f.Script(t, "status")) {
		if strings.HasPrefix(line, f.host+" ") {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

// breakFile breaks a file of the map output that is read over the network, wherever Spark has put it, and has a daemon meet that.
func (f *hostFault) breakFile(t *testing.T, ext string, do func(path string) error) {
	t.Helper()
	before := f.badMapOutputs()
	if err := do(f.mapOutputFile(t, ext)); err != nil {
		t.Fatal(err)
	}
	f.release(t)
	f.eventually(t, "a daemon meets the broken file", func() bool { return f.badMapOutputs() > before })
}

// removeAll removes a file by all its names: where map outputs outlive their executors, the daemon serves them from links of its own.
func (f *hostFault) removeAll(path string) error {
	file, err := os.Stat(path)
	if err != nil {
		return err
	}
	return filepath.WalkDir(f.dir, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return nil // Spark removes files meanwhile
		}
		if other, err := entry.Info(); err == nil && os.SameFile(file, other) {
			return os.Remove(name)
		}
		return nil
	})
}

// badMapOutputs is how many blocks of such the daemons could not deliver.
func (f *hostFault) badMapOutputs() (n int64) {
	for _, host := range []string{Host1, Host2} {
		if s := f.at(host); s != nil {
			for _, count := range s.Failed {
				if count.Reason == "bad_map_output" {
					n += count.Blocks
				}
			}
		}
	}
	return n
}
