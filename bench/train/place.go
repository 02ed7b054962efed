package train

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"weft/bench/sample"
)

// place is where runs happen: hosts on this machine, or a cluster that is there.
type place interface {
	// ready makes it fit for a row.
	ready(ctx context.Context, r row) error
	// idle waits until nothing of the run before is left, as far as that can be seen.
	idle(ctx context.Context) error
	// submit is spark-submit. When ctx ends it is asked to end, and killed 10 s later.
	submit(ctx context.Context, args ...string) *exec.Cmd
	// eventLogs is the folder into which drivers write them.
	eventLogs() string
	processes(ctx context.Context) ([]sample.Process, error)
	// cpu is how many seconds all processes took so far; 0 where sampled is one host alone.
	cpu(ctx context.Context) (float64, error)
	// sampled is the one host whose processes there are; "": they are those of all.
	sampled() string
	// spoilt is called when something went wrong there.
	spoilt()
	// down ends what ready made.
	down(ctx context.Context) error
}

// applications are those that have event logs in the folder.
func applications(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".inprogress"))
	}
	return names, err
}

// newApplication is the log of the one that came since.
func newApplication(dir string, before []string) (string, error) {
	now, err := applications(dir)
	if err != nil {
		return "", err
	}
	now = slices.DeleteFunc(now, func(name string) bool { return slices.Contains(before, name) })
	if len(now) != 1 {
		return "", fmt.Errorf("%d new event logs in %s instead of one", len(now), dir)
	}
	return filepath.Join(dir, now[0]), nil
}
