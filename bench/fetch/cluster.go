package fetch

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// cluster runs scripts/cluster for one cluster directory.
type cluster struct {
	script, dir string
	log         io.Writer
}

func (c cluster) command(ctx context.Context, verb string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, c.script, append([]string{verb, "--dir", c.dir}, args...)...)
	cmd.Stderr = c.log
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

func (c cluster) run(ctx context.Context, verb string, args ...string) error {
	cmd := c.command(ctx, verb, args...)
	cmd.Stdout = c.log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s %s: %w (log: %s)", filepath.Base(c.script), verb, err, c.dir)
	}
	return nil
}

// waitFor waits until the file is there; ended is closed when what would write it has ended.
func waitFor(ctx context.Context, path string, ended <-chan error) error {
	for {
		if _, err := os.Stat(path); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case err := <-ended:
			return fmt.Errorf("the benchmark's Spark job ended before %s was there: %w", filepath.Base(path), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}
