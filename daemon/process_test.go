package daemon

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// maxIdleRSS is what a daemon at rest may hold in memory.
const maxIdleRSS = 30 << 20

func TestIdleDaemonIsSmall(t *testing.T) {
	c := startChild(t, testOptions(t))
	statusOf(t, c.dir)
	if rss := rssOf(t, c.cmd.Process.Pid); rss > maxIdleRSS {
		t.Errorf("%d KiB resident, want at most %d", rss>>10, maxIdleRSS>>10)
	} else {
		t.Logf("%d KiB resident", rss>>10)
	}
}

func TestSIGTERMEndsWithZero(t *testing.T) {
	c := startChild(t, testOptions(t))
	if code := c.end(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	for _, name := range []string{BridgeSocket, "admin.sock"} {
		if _, err := os.Lstat(c.dir + "/" + name); !os.IsNotExist(err) {
			t.Errorf("%s stayed: %v", name, err)
		}
	}
}

// A daemon that was killed does not keep its successor from starting.
func TestKilledDaemonIsSucceeded(t *testing.T) {
	opts := testOptions(t)
	c := startChild(t, opts)
	first := statusOf(t, opts.SocketDir)
	c.kill()
	if s := startDaemon(t, opts).status(t); s.DaemonID == first.DaemonID {
		t.Errorf("the new daemon has the id of the old one: %s", s.DaemonID)
	}
}

// rssOf is VmRSS in bytes.
func rssOf(t *testing.T, pid int) int64 {
	t.Helper()
	f, err := os.Open(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if fields := strings.Fields(s.Text()); len(fields) == 3 && fields[0] == "VmRSS:" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatal("no VmRSS")
	return 0
}
