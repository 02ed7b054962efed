package verbstest

import (
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"weft/internal/leakcheck"
	"weft/verbs"
)

// Main is leakcheck.Main for tests that use a device: what they leave in it fails them, too.
//
//	func TestMain(m *testing.M) { verbstest.Main(m) }
func Main(m interface{ Run() int }) {
	// librdmacm keeps what it opens first, which is no leak of a test.
	if devices, err := verbs.OpenDevices(); err == nil {
		_ = devices.Close()
	}
	leakcheck.Main(checked{m})
}

type checked struct{ tests interface{ Run() int } }

// Run runs the tests and then asks the kernel what this process has in the devices.
func (c checked) Run() int {
	before, err := resources()
	code := c.tests.Run()
	if code != 0 {
		return code
	}
	var after []string
	for end := time.Now().Add(5 * time.Second); err == nil; time.Sleep(10 * time.Millisecond) {
		after, err = resources()
		if slices.Equal(before, after) || time.Now().After(end) {
			break
		}
	}
	if err == nil && !slices.Equal(before, after) {
		err = fmt.Errorf("before:\n%s\nafter:\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "verbstest: what the tests left in the device:", err)
		return 1
	}
	return 0
}

// resources lists the domains, regions and queues in all devices that programs of this one's name have, a line each. Not by process: the kernel notes
// the thread that made them. librdmacm keeps a domain of its own for each device, which nothing uses: it is left out.
func resources() ([]string, error) {
	comm, err := os.ReadFile("/proc/self/comm")
	if err != nil {
		return nil, err
	}
	mine := " comm " + strings.TrimSpace(string(comm)) + " "
	var own []string
	for _, kind := range []string{"pd", "mr", "cq", "qp", "cm_id", "srq"} {
		out, err := exec.Command("rdma", "resource", "show", kind).CombinedOutput()
		if err != nil {
			return nil, fmt.Errorf("rdma resource show %s: %w: %s (it is in the package iproute2)", kind, err, out)
		}
		for line := range strings.Lines(string(out)) {
			line = kind + " " + strings.TrimSpace(line) + " "
			spare := kind == "pd" && strings.Contains(line, " users 0 ")
			if strings.Contains(line, mine) && !spare {
				own = append(own, line)
			}
		}
	}
	return own, nil
}
