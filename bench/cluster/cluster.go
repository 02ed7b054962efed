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

// Of is the cluster of a source tree, whose scripts start it. It is an error where root is none.
func Of(root, dir string, log io.Writer) (Cluster, error) {
	script := filepath.Join(root, "scripts", "cluster")
	if _, err := os.Stat(script); err != nil {
		return Cluster{}, fmt.Errorf("%s is no source tree of weft (%w): run this in one, or name it by --root", root, err)
	}
	return Cluster{Script: script, Dir: dir, Log: log}, nil
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
	cmd := c.Command(ctx, verb, args...)
	cmd.Stdout = c.Log
	if err := cmd.Run(); err != nil {
		return c.failed(verb, err)
	}
	return nil
}

// Output runs the script to its end and gives what it printed.
func (c Cluster) Output(ctx context.Context, verb string, args ...string) ([]byte, error) {
	out, err := c.Command(ctx, verb, args...).Output()
	if err != nil {
		return nil, c.failed(verb, err)
	}
	return out, nil
}

// told is what scripts say of themselves, as in "spark: unknown version".
var told = regexp.MustCompile(`(?m)^(?:cluster|spark): .+$`)

// failed names the log, and what the script has said last if that is in it.
func (c Cluster) failed(verb string, err error) error {
	f, ok := c.Log.(*os.File)
	if !ok {
		return fmt.Errorf("%s %s: %w (logs: %s)", filepath.Base(c.Script), verb, err, c.Dir)
	}
	why := ""
	if log, readErr := os.ReadFile(f.Name()); readErr == nil {
		if lines := told.FindAllString(string(log), -1); len(lines) > 0 {
			why = lines[len(lines)-1] + "; "
		}
	}
	return fmt.Errorf("%s %s: %w (%slog: %s)", filepath.Base(c.Script), verb, err, why, f.Name())
}
