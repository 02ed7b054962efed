package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// guest is a guest that runs.
type guest struct {
	number  int
	console *console
	cmd     *exec.Cmd
	stdin   io.WriteCloser // a line there asks it to stop
}

// place is what a guest gets of the host.
type place struct {
	dir    string   // for this run: init, and what it reads
	memory string   // a tmpfs for the guest's memory
	cpu    int      // the one processor that it runs on: a guest that moves is three times slower
	wire   *os.File // its end of the wire, if there is one
}

// commandLine is what starts guest number n. Words that the kernel does not know become the environment of its init.
func commandLine(o options, n int, p place) []string {
	words := []string{
		"taskset", "-c", fmt.Sprint(p.cpu), o.kernel,
		"mem=" + o.memory, fmt.Sprintf("umid=%d", n), "uml_dir=" + p.dir + "/",
		"root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "init=" + p.dir + "/init",
		"con=null", "con0=fd:0,fd:1", "quiet", "panic=-1", "dummy.numdummies=0",
		"GUEST_DIR=" + p.dir, fmt.Sprintf("GUEST=%d", n), fmt.Sprintf("GUESTS=%d", len(o.jobs)), fmt.Sprintf("GUEST_MTU=%d", o.mtu),
	}
	if p.wire != nil {
		// The default depth of 64 frames loses some of them. The descriptor is the first after the standard ones.
		words = append(words, fmt.Sprintf("vec0:transport=fd,fd=3,mac=52:54:00:00:00:%02x,mtu=%d,depth=1024", n, o.mtu))
	}
	return words
}

// settings are the files that init reads, by the end of their name, each a list of strings.
func settings(o options, n int, token, workingDir string) map[string][]string {
	job := o.jobs[n-1]
	dirs := []string{"ro:" + filepath.Dir(job), "ro:" + workingDir}
	for _, share := range o.shares {
		dirs = append(dirs, "rw:"+share)
	}
	// A folder comes before those in it, whose mounts it would hide.
	slices.SortFunc(dirs, func(a, b string) int { return strings.Compare(a[len("ro:"):], b[len("ro:"):]) })
	return map[string][]string{
		"job":  {token, job, workingDir},
		"env":  o.env,
		"dirs": slices.Compact(dirs),
	}
}

func startGuest(o options, n int, p place, c *console) (*guest, error) {
	workingDir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	c.token = rand.Text()
	for end, list := range settings(o, n, c.token, workingDir) {
		var content strings.Builder
		for _, s := range list {
			content.WriteString(s + "\x00")
		}
		if err := os.WriteFile(filepath.Join(p.dir, fmt.Sprintf("%d.%s", n, end)), []byte(content.String()), 0o600); err != nil {
			return nil, err
		}
	}
	words := commandLine(o, n, p)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TMPDIR=" + p.memory}
	cmd.Stdout, cmd.Stderr = c, c
	if p.wire != nil {
		cmd.ExtraFiles = []*os.File{p.wire}
	}
	// A group of its own: a guest is many processes, and all of them have to end together, because one that outlives its kernel
	// would go on with the host's system calls. (Hence no signal at this program's death: it reaches the first alone.)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 2 * time.Second
	g := &guest{number: n, console: c, cmd: cmd}
	if g.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start guest %d: %w", n, err)
	}
	return g, nil
}

// wait returns when nothing of the guest runs any more.
func (g *guest) wait() {
	_ = g.cmd.Wait() // its console tells more than the status of its kernel
	g.kill()
	g.console.flush()
}

// ask asks the guest to end its processes and turn off.
func (g *guest) ask() { _, _ = io.WriteString(g.stdin, "\n") }

// kill ends all processes of the guest.
func (g *guest) kill() {
	err := syscall.Kill(-g.cmd.Process.Pid, syscall.SIGKILL)
	if err != nil && !errors.Is(err, syscall.ESRCH) {
		fmt.Fprintf(os.Stderr, "guests: kill the processes of guest %d: %v\n", g.number, err)
	}
}
