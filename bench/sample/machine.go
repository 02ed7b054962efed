package sample

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// roles are those of processes by what is in their command lines; the first that fits counts.
var roles = []struct{ has, role string }{
	{"deploy.master.Master", "master"},
	{"deploy.worker.Worker", "worker"},
	{"CoarseGrainedExecutorBackend", "executor"},
	{"deploy.SparkSubmit", "driver"},
}

// Machine lists the processes of Spark and weft on this machine, whoever's they are, as those of one host.
func Machine(host string) func(context.Context) ([]Process, error) {
	return func(context.Context) ([]Process, error) { return machineProcesses(os.DirFS("/"), host) }
}

func machineProcesses(root fs.FS, host string) ([]Process, error) {
	entries, err := fs.ReadDir(root, "proc")
	if err != nil {
		return nil, err
	}
	var ps []Process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		line, err := fs.ReadFile(root, fmt.Sprintf("proc/%d/cmdline", pid))
		if err != nil {
			continue // it ended
		}
		if role := roleOf(line); role != "" {
			ps = append(ps, Process{host, pid, role})
		}
	}
	return ps, nil
}

// roleOf reads a command line, whose words end in NUL; "": it is of no concern.
func roleOf(line []byte) string {
	words := strings.Split(string(bytes.TrimSuffix(line, []byte{0})), "\x00")
	program := words[0][strings.LastIndexByte(words[0], '/')+1:]
	switch {
	case program == "java":
		for _, r := range roles {
			for _, word := range words[1:] {
				if strings.HasSuffix(word, r.has) {
					return r.role
				}
			}
		}
	case strings.HasPrefix(program, "weft") && len(words) > 1 && words[1] == "daemon":
		return "weft"
	}
	return ""
}
