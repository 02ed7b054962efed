//go:build e2e

package e2e

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

// bare is the program where no library is installed but the C library: in a mount namespace of its own, whose folder of libraries has no others.
func bare(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	file, err := exec.Command("ldd", filepath.Join(root, "build/daemon/weft")).CombinedOutput()
	libc := regexp.MustCompile(`libc\.so\.6 => (\S+)/libc\.so\.6`).FindSubmatch(file)
	if err != nil || libc == nil {
		t.Fatalf("where is its C library? %v: %s (run 'make build')", err, file)
	}
	dir := t.TempDir()
	for _, name := range []string{"libc.so.6", "libdl.so.2", "libpthread.so.0", "ld-linux-x86-64.so.2"} {
		if out, err := exec.Command("cp", "-L", filepath.Join(string(libc[1]), name), dir).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	script := `mount --bind "$1" "$2" && shift 2 && exec "$@"`
	args = append([]string{"--mount", "sh", "-c", script, "sh", dir, string(libc[1]), filepath.Join(root, "build/daemon/weft")}, args...)
	cmd := exec.Command("unshare", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	return cmd
}

// Without libibverbs the daemon moves blocks over TCP, and says why, as doctor does.
func TestWithoutLibibverbs(t *testing.T) {
	const why = "libibverbs.so.1: cannot open shared object file"
	sockets := t.TempDir()
	if err := os.Chmod(sockets, 0o700); err != nil {
		t.Fatal(err)
	}
	daemon := bare(t, "daemon", "--socket-dir", sockets)
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	daemon.Stderr = daemon.Stdout
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = daemon.Process.Signal(syscall.SIGTERM)
		if err := daemon.Wait(); err != nil {
			t.Errorf("the daemon's end: %v", err)
		}
	})
	var log strings.Builder
	var port []string
	for lines := bufio.NewScanner(out); port == nil && lines.Scan(); {
		log.WriteString(lines.Text() + "\n")
		port = regexp.MustCompile(`^weft daemon ready: .* port=(\d+) `).FindStringSubmatch(lines.Text())
	}
	if port == nil || !strings.Contains(log.String(), why) || !strings.Contains(log.String(), "blocks move over TCP") {
		t.Fatalf("the daemon says:\n%s", log.String())
	}
	told, _ := bare(t, "doctor", "--socket-dir", sockets, "--peer", "127.0.0.1:"+port[1]).CombinedOutput() // it has other things to complain of
	for _, line := range []string{
		`(?m)^warn +RDMA libraries +` + regexp.QuoteMeta(why) + `.*; TCP is used -> Debian: apt-get install ibverbs-providers`,
		`(?m)^ok +peer tcp .*; 1 MiB in `,
	} {
		if !regexp.MustCompile(line).Match(told) {
			t.Errorf("doctor has no line %s:\n%s", line, told)
		}
	}
}
