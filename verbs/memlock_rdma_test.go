//go:build rdma

package verbs_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"weft/internal/leakcheck"
	"weft/verbs"
	"weft/verbs/verbstest"
)

const memlockVariable = "WEFT_TEST_MEMLOCK"

// A user with a small limit of locked memory is told about it. The limit does not count for root, so another process tries, as nobody.
func TestLimitOfLockedMemory(t *testing.T) {
	if os.Getenv(memlockVariable) != "" {
		registerWithLimit(t)
		return
	}
	leakcheck.Check(t)
	verbstest.Device(t)
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestLimitOfLockedMemory$")
	cmd.Env = append(os.Environ(), memlockVariable+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	const want = "ibv_reg_mr of 16777216 bytes on "
	if err != nil || !strings.Contains(string(out), want) || !strings.Contains(string(out), "is the limit of locked memory too small?") {
		t.Errorf("%v: %s", err, out)
	}
}

func registerWithLimit(t *testing.T) {
	if err := unix.Setrlimit(unix.RLIMIT_MEMLOCK, &unix.Rlimit{Cur: 64 << 10, Max: 64 << 10}); err != nil {
		t.Fatal(err)
	}
	pd, err := verbstest.Device(t).AllocPD()
	if err != nil {
		t.Fatal(err)
	}
	defer verbstest.Close(t, pd)
	_, err = pd.RegMR(verbstest.Memory(t, 16<<20), verbs.RemoteRead)
	fmt.Println(err)
}
