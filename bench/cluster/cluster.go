// Package cluster runs scripts/cluster: hosts on this machine, with a standalone Spark on them, for the benchmarks.
package cluster

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// Cluster is one, which its directory identifies.
type Cluster struct {
	Script, Dir string
	Log         io.Writer // what the script and its commands print
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
		return fmt.Errorf("%s %s: %w (log: %s)", filepath.Base(c.Script), verb, err, c.Dir)
	}
	return nil
}

// Output runs the script to its end and gives what it printed.
func (c Cluster) Output(ctx context.Context, verb string, args ...string) ([]byte, error) {
	out, err := c.Command(ctx, verb, args...).Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w (log: %s)", filepath.Base(c.Script), verb, err, c.Dir)
	}
	return out, nil
}
