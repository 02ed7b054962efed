package sample

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// Cluster lists the processes of the hosts that scripts/cluster made in dir.
func Cluster(script, dir string) func(context.Context) ([]Process, error) {
	return func(ctx context.Context) ([]Process, error) {
		out, err := exec.CommandContext(ctx, script, "pids", "--dir", dir).Output()
		if err != nil {
			return nil, fmt.Errorf("%s pids --dir %s: %w", script, dir, err)
		}
		return parsePIDs(out)
	}
}

// parsePIDs reads lines of HOST PID ROLE.
func parsePIDs(b []byte) ([]Process, error) {
	var ps []Process
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		f := strings.Fields(s.Text())
		if len(f) != 3 {
			return nil, fmt.Errorf("list of processes: %q is not HOST PID ROLE", s.Text())
		}
		pid, err := strconv.Atoi(f[1])
		if err != nil {
			return nil, fmt.Errorf("list of processes: %q: %w", s.Text(), err)
		}
		ps = append(ps, Process{f[0], pid, f[2]})
	}
	return ps, nil
}
