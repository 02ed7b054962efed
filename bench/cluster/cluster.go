// Package cluster runs scripts/cluster: hosts on this machine, with a standalone Spark on them, for the benchmarks.
package cluster

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

// Cluster is one, which its directory identifies.
type Cluster struct {
	Script, Dir string
	Log         io.Writer // what the script and its commands print
}

// Of is the cluster of a source tree, whose scripts start it, still without a log. It is an error where root is none.
func Of(root, dir string) (Cluster, error) {
	script := filepath.Join(root, "scripts", "cluster")
	if _, err := os.Stat(script); err != nil {
		return Cluster{}, fmt.Errorf("%s is no source tree of weft (%w): run this in one, or name it by --root", root, err)
	}
	return Cluster{Script: script, Dir: dir}, nil
}

// Command is one that runs the script; when ctx ends it is asked to end, and killed 10 s later.
func (c Cluster) Command(ctx context.Context, verb string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.Script, append([]string{verb, "--dir", c.Dir}, args...)...)
	cmd.Stderr = c.Log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// Run runs the script to its end.
func (c Cluster) Run(ctx context.Context, verb string, args ...string) error {
	cmd, before := c.Command(ctx, verb, args...), c.logged()
	cmd.Stdout = c.Log
	if err := cmd.Run(); err != nil {
		return c.failed(verb, err, before)
	}
	return nil
}

// Output runs the script to its end and gives what it printed.
func (c Cluster) Output(ctx context.Context, verb string, args ...string) ([]byte, error) {
	before := c.logged()
	out, err := c.Command(ctx, verb, args...).Output()
	if err != nil {
		return nil, c.failed(verb, err, before)
	}
	return out, nil
}

// logged is how much the log has, if it is a file.
func (c Cluster) logged() int {
	if f, ok := c.Log.(*os.File); ok {
		if info, err := f.Stat(); err == nil {
			return int(info.Size())
		}
	}
	return 0
}

// words are what scripts say of themselves, as in "spark: unknown version", but the one that a failure of up ends with.
var words = regexp.MustCompile(`(?m)^(?:cluster|spark): .+$`)

const upFailed = "cluster: up failed, taking it down"

// failed names the log, and the last that the script has said since the log had so much.
func (c Cluster) failed(verb string, err error, before int) error {
	f, ok := c.Log.(*os.File)
	if !ok {
		return fmt.Errorf("%s %s: %w (logs: %s)", filepath.Base(c.Script), verb, err, c.Dir)
	}
	last := ""
	if log, readErr := os.ReadFile(f.Name()); readErr == nil && before <= len(log) {
		for _, line := range words.FindAllString(string(log[before:]), -1) {
			if line != upFailed {
				last = fmt.Sprintf("its last words are %q; ", line)
			}
		}
	}
	return fmt.Errorf("%s %s: %w (%slog: %s)", filepath.Base(c.Script), verb, err, last, f.Name())
}
