package daemon

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weft/internal/options"
	"weft/internal/status"
)

// patience bounds what should take no time at all, on a machine that has much else to do.
const patience = 30 * time.Second

// testOptions are small, so that limits are reached, and listen on loopback alone.
func testOptions(t testing.TB) options.Options {
	t.Helper()
	o := options.Default()
	o.SocketDir = filepath.Join(shortDir(t), "s")
	o.NetBind = loopback
	o.MemoryRegion = 4 << 20
	o.MemorySession = 16 << 20
	o.MemoryUpcall = 16 << 20
	o.MemoryMax = 64 << 20
	if err := o.Validate(); err != nil {
		t.Fatal(err)
	}
	return o
}

// shortDir is a temporary directory whose path leaves room for a socket's name, which t.TempDir's does not always.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "weft")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// running is a daemon in this process.
type running struct {
	Info
	opts  options.Options
	stop  func() // ends it and waits; it must end without an error
	ended chan struct{}
}

func startDaemon(t testing.TB, opts options.Options) *running {
	t.Helper()
	return startWith(t, opts, seams{})
}

func startWith(t testing.TB, opts options.Options, s seams) *running {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan Info, 1)
	ended := make(chan struct{})
	var failure error // valid when ended is closed
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	go func() {
		defer close(ended)
		failure = run(ctx, opts, log, s, func(i Info) { ready <- i })
	}()
	select {
	case info := <-ready:
		stop := sync.OnceFunc(func() {
			cancel()
			select {
			case <-ended:
				if failure != nil {
					t.Errorf("the daemon ended with %v", failure)
				}
			case <-time.After(patience):
				t.Error("the daemon does not end")
			}
		})
		t.Cleanup(stop)
		return &running{Info: info, opts: opts, stop: stop, ended: ended}
	case <-ended:
		cancel()
		t.Fatalf("the daemon did not start: %v", failure)
	case <-time.After(patience):
		cancel()
		t.Fatal("the daemon is not ready")
	}
	return nil
}

func (r *running) status(t testing.TB) *status.Status { return statusOf(t, r.opts.SocketDir) }

// wantNoLeases waits until no session has a lease out; the last ones may be on their way back when a fetch has ended.
func (r *running) wantNoLeases(t testing.TB) {
	t.Helper()
	eventually(t, "all leases come back", func() bool {
		for _, s := range r.status(t).Sessions {
			if s.Receive.Leases != 0 || s.Receive.LeasedBytes != 0 || s.Upcall.Leases != 0 {
				return false
			}
		}
		return true
	})
}

// wantNothingLeft waits until the daemons, whose executors have ended, have no session and no memory of one, and ends them.
func wantNothingLeft(t testing.TB, daemons ...*running) {
	t.Helper()
	for _, d := range daemons {
		eventually(t, "everything is given back", func() bool {
			st := d.status(t)
			return len(st.Sessions) == 0 && st.Memory.ReceiveBytes == 0 && st.Memory.UpcallBytes == 0
		})
		d.stop() // fails where anything is counted as used
	}
}

func statusOf(t testing.TB, dir string) *status.Status {
	t.Helper()
	s, err := status.Get(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// programDir holds the binary; empty where no test needed it.
var programDir string

// program is the real binary, built once for all tests that need another process.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "weft")
	if err != nil {
		return "", err
	}
	programDir = dir
	path := filepath.Join(dir, "weft")
	if out, err := exec.Command("go", "build", "-trimpath", "-tags", "nobench", "-o", path, "weft/cmd/weft").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return path, nil
})

// child is a daemon in a process of its own.
type child struct {
	dir string
	cmd *exec.Cmd
}

func startChild(t testing.TB, opts options.Options) *child {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{dir: opts.SocketDir}
	c.cmd = exec.Command(path, "daemon", "--socket-dir", opts.SocketDir, "--net-bind", "127.0.0.1",
		"--memory-max", options.FormatSize(opts.MemoryMax), "--memory-session", options.FormatSize(opts.MemorySession),
		"--memory-upcall", options.FormatSize(opts.MemoryUpcall), "--memory-region", options.FormatSize(opts.MemoryRegion))
	c.cmd.Stderr = t.Output()
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.kill)
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.HasPrefix(line, "weft daemon ready: ") {
		t.Fatalf("the child says %q, %v", line, err)
	}
	return c
}

// kill is kill -9; harmless when it has ended.
func (c *child) kill() {
	if c.cmd.ProcessState == nil {
		_ = c.cmd.Process.Kill()
		_ = c.cmd.Wait()
	}
}

// end asks it to end and gives its exit code.
func (c *child) end() int {
	_ = c.cmd.Process.Signal(unix.SIGTERM)
	_ = c.cmd.Wait()
	return c.cmd.ProcessState.ExitCode()
}
