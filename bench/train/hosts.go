package train

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"weft/bench/cluster"
	"weft/bench/result"
	"weft/bench/sample"
)

// hosts are those on which runs happen: made anew when a row wants others.
type hosts struct {
	cluster.Cluster
	memory string // of each executor
	up     *row   // the row they were made for; nil: there are none
}

// ready makes the hosts that a row wants.
func (h *hosts) ready(ctx context.Context, r row) error {
	if h.up != nil && h.up.Spark == r.Spark && h.up.Executors == r.Executors && h.up.Cores == r.Cores && h.up.link == r.link {
		return nil
	}
	if err := h.down(ctx); err != nil {
		return err
	}
	args := []string{"--spark", r.Spark, "--hosts", strconv.Itoa(r.Executors), "--cores", strconv.Itoa(r.Cores), "--memory", h.memory}
	if err := h.Run(ctx, "up", append(args, r.link.arguments()...)...); err != nil {
		return err
	}
	h.up = &r
	return nil
}

// down ends them, also those that an aborted run left.
func (h *hosts) down(ctx context.Context) error {
	h.up = nil
	return h.Run(context.WithoutCancel(ctx), "down")
}

// idle waits until nothing of the run before is left: its daemons stay for ten seconds.
func (h *hosts) idle(ctx context.Context) error {
	for wait := 300; ; wait-- {
		out, err := h.Output(ctx, "pids")
		if err != nil {
			return err
		}
		left := ""
		for line := range strings.Lines(string(out)) {
			if f := strings.Fields(line); len(f) == 3 && slices.Contains([]string{"driver", "executor", "weft"}, f[2]) {
				left += " " + strings.Join(f, " ")
			}
		}
		if left == "" {
			return nil
		}
		if wait == 0 {
			return fmt.Errorf("processes of the run before do not end:%s", left)
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (h *hosts) submit(ctx context.Context, args ...string) *exec.Cmd {
	return h.Command(ctx, "submit", args...)
}

func (h *hosts) processes(ctx context.Context) ([]sample.Process, error) {
	return sample.Cluster(h.Script, h.Dir)(ctx)
}

func (h *hosts) cpu(ctx context.Context) (float64, error) { return h.CPU(ctx) }
func (h *hosts) eventLogs() string                        { return filepath.Join(h.Dir, "events") }
func (h *hosts) sampled() string                          { return "" }
func (h *hosts) spoilt()                                  { h.up = nil } // they are not used again

// machine describes this one, that all hosts are on unless they are a cluster of others.
func machine() (m result.Machine) {
	read := func(name string) string {
		b, _ := os.ReadFile(name) // what cannot be read is left empty
		return string(b)
	}
	for line := range strings.Lines(read("/proc/cpuinfo")) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			m.CPU = strings.TrimSpace(value)
			m.Cores++
		}
	}
	if f := strings.Fields(read("/proc/meminfo")); len(f) > 1 {
		kib, _ := strconv.ParseInt(f[1], 10, 64)
		m.MemoryBytes = kib << 10
	}
	m.Kernel = strings.TrimSpace(read("/proc/sys/kernel/osrelease"))
	return m
}
