package status

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

const closedVariable = "WEFT_TEST_CLOSED_DIR"

// A daemon of another user is not taken for one that is not there. Nothing is closed to root, so another process asks, as nobody.
func TestDirectoryOfAnotherUser(t *testing.T) {
	if dir := os.Getenv(closedVariable); dir != "" {
		askClosed(t, dir)
		return
	}
	dir := filepath.Join(t.TempDir(), "weft")
	if err := os.Mkdir(dir, 0); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe", "-test.v", "-test.run=^TestDirectoryOfAnotherUser$")
	cmd.Env = append(os.Environ(), closedVariable+"="+dir)
	if os.Geteuid() == 0 {
		if self, err := os.Executable(); err != nil || os.Chmod(self, 0o755) != nil { // whatever the umask was
			t.Fatalf("this test's program, for nobody to run: %s, %v", self, err)
		}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestDirectoryOfAnotherUser") {
		t.Errorf("%v: %s", err, out)
	}
}

func askClosed(t *testing.T, dir string) {
	_, err := Get(t.Context(), dir)
	if !errors.Is(err, fs.ErrPermission) || errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), "ask as the daemon's user, or as root") {
		t.Errorf("the daemon of another user: %v", err)
	}
}
