// Package doctor looks at the machine before the daemon or a job has to: one line for each thing that weft needs, with what to do
// where it is missing.
//
// It changes nothing: what it makes to try something (a memfd, a listening port) is gone when Run returns. It refuses to judge
// speed, and to fail for what only some machines need: that is a warning.
package doctor

import (
	"context"
	"fmt"
	"io"

	"weft/internal/options"
)

// Outcome is how a check ended.
type Outcome string

// The outcomes.
const (
	OK   Outcome = "ok"
	Warn Outcome = "warn" // weft runs, but look at it
	Fail Outcome = "fail" // weft, or a part of it, won't run
)

// Result is one line.
type Result struct {
	Check   string  `json:"check"`
	Outcome Outcome `json:"outcome"`
	Found   string  `json:"found"`
	Todo    string  `json:"todo,omitempty"` // what to do; empty if ok
}

func ok(format string, args ...any) Result {
	return Result{Outcome: OK, Found: fmt.Sprintf(format, args...)}
}

func warn(todo, format string, args ...any) Result {
	return Result{Outcome: Warn, Found: fmt.Sprintf(format, args...), Todo: todo}
}

func fail(todo, format string, args ...any) Result {
	return Result{Outcome: Fail, Found: fmt.Sprintf(format, args...), Todo: todo}
}

// machine is what the checks look at.
type machine struct {
	opts   options.Options
	getenv func(string) string
	root   string // of /proc, /sys and /dev: "" but in tests
	rdma   libraries
}

var checks = []struct {
	name string
	run  func(*machine, context.Context) Result
}{
	{"daemon", (*machine).daemon},
	{"socket directory", (*machine).socketDir},
	{"peer port", (*machine).peerPort},
	{"announced addresses", (*machine).announced},
	{"sealed memfd", (*machine).memfd},
	{"openat2", (*machine).openat2},
	{"memory", (*machine).memory},
	{"/dev/shm", (*machine).devShm},
	{"nofile", (*machine).nofile},
	{"RDMA libraries", (*machine).rdmaLibraries},
	{"RDMA devices", (*machine).rdmaDevices},
	{"RDMA device", (*machine).rdmaDevice},
	{"RDMA port", ofPort((*machine).rdmaPort)},
	{"RDMA address", ofPort((*machine).rdmaAddress)},
	{"RDMA MTU", ofPort((*machine).rdmaMTU)},
	{"RDMA nodes", ofPort((*machine).rdmaNodes)},
	{"memlock", (*machine).memlock},
	{"RDMA features", (*machine).rdmaFeatures},
	{"Java", (*machine).java},
	{"Spark", (*machine).spark},
}

// Run makes every check, one after the other. getenv is os.Getenv.
func Run(ctx context.Context, opts options.Options, getenv func(string) string) []Result {
	m := &machine{opts: opts, getenv: getenv, rdma: installed}
	results := make([]Result, len(checks))
	for i, c := range checks {
		results[i] = c.run(m, ctx)
		results[i].Check = c.name
	}
	return results
}

// Healthy tells whether no check failed.
func Healthy(results []Result) bool {
	for _, r := range results {
		if r.Outcome == Fail {
			return false
		}
	}
	return true
}

// Print writes one line for each result.
func Print(w io.Writer, results []Result) error {
	for _, r := range results {
		line := fmt.Sprintf("%-4s  %-20s %s", r.Outcome, r.Check, r.Found)
		if r.Todo != "" {
			line += " -> " + r.Todo
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
