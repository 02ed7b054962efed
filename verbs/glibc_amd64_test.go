//go:build !rdma

package verbs

import (
	"errors"
	"os/exec"
	"path/filepath"
	"testing"
)

// A program with glibc_amd64.c starts and ends as one without it, also where its addresses are not fixed.
func TestProgramsStartAsEver(t *testing.T) {
	const want = "constructor 2 one A=b, main 2 one, atexit, destructor"
	for _, kind := range []string{"-no-pie", "-pie"} {
		program := filepath.Join(t.TempDir(), "start")
		if out, err := exec.Command("gcc", "-Wall", "-fPIE", kind, "-o", program, "testdata/start.c", "glibc_amd64.c").CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		cmd := exec.Command(program, "one")
		cmd.Env = []string{"A=b"}
		out, err := cmd.Output()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 7 || string(out) != want {
			t.Errorf("%s: %v, %q, want exit code 7 and %q", kind, err, out, want)
		}
	}
}
