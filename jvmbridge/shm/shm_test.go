package shm

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"weft/internal/leakcheck"
)

const childVariable = "WEFT_SHM_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, "child:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	leakcheck.Main(m)
}

// child is the JVM's side, in a process of its own: descriptor 3 is the socket. It reports in lines what it was allowed to do.
func child() error {
	c, err := net.FileConn(os.NewFile(3, "socket"))
	if err != nil {
		return err
	}
	conn := c.(*net.UnixConn)
	fd, err := ReceiveFD(conn)
	if err != nil {
		return err
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	size := int(st.Size)

	// As a JVM does it: opened anew through /proc, so seals have to hold for another open file too.
	reopened, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", fd), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	report := func(what string, err error) {
		word := "ok"
		if errors.Is(err, unix.EPERM) {
			word = "EPERM"
		} else if err != nil {
			word = err.Error()
		}
		fmt.Printf("%s: %s\n", what, word)
	}
	for name, fd := range map[string]int{"passed": fd, "reopened": reopened} {
		mem, err := unix.Mmap(fd, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
		report(name+" map writable", err)
		if err == nil {
			copy(mem[4096:], "from the child")
		}
		_, err = unix.Pwrite(fd, []byte{1}, 0)
		report(name+" write", err)
		report(name+" shrink", unix.Ftruncate(fd, 4096))
		report(name+" grow", unix.Ftruncate(fd, int64(size)*2))
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_WRITE)
		report(name+" seal", err)
	}
	mem, err := unix.Mmap(reopened, 0, size, unix.PROT_READ, unix.MAP_SHARED)
	report("map read-only", err)

	// The daemon writes now, and says so.
	if _, err := conn.Write([]byte{1}); err != nil {
		return err
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return err
	}
	fmt.Printf("last bytes: %s\n", mem[size-5:])
	return nil
}

// runChild passes s to a child, writes "later" at its end once the child has mapped it, and returns the child's report.
func runChild(t *testing.T, s *Segment) string {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "ours"), os.NewFile(uintptr(fds[1]), "theirs")
	defer theirs.Close()
	c, err := net.FileConn(ours)
	_ = ours.Close()
	if err != nil {
		t.Fatal(err)
	}
	conn := c.(*net.UnixConn)
	defer conn.Close()

	var out bytes.Buffer
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=1")
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.Stdout, cmd.Stderr = &out, os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = theirs.Close()
	passed := s.TakeFD()
	if err := SendFD(conn, passed); err != nil {
		t.Error(err)
	}
	if err := unix.Close(passed); err != nil {
		t.Error(err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		copy(s.Bytes()[len(s.Bytes())-5:], "later")
		_, err = conn.Write([]byte{1})
		if err != nil {
			t.Error(err)
		}
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	return out.String()
}

func TestAnotherProcessCanOnlyReadAReceiveSegment(t *testing.T) {
	s, err := New(Receive, 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	report := runChild(t, s)
	for _, way := range []string{"passed", "reopened"} {
		for _, what := range []string{"map writable", "write", "shrink", "grow", "seal"} {
			if want := way + " " + what + ": EPERM\n"; !strings.Contains(report, want) {
				t.Errorf("missing %q", want)
			}
		}
	}
	for _, want := range []string{"map read-only: ok\n", "last bytes: later\n"} {
		if !strings.Contains(report, want) {
			t.Errorf("missing %q", want)
		}
	}
	if !bytes.Equal(s.Bytes()[:8192], make([]byte, 8192)) {
		t.Error("the child wrote to a receive segment")
	}
	if t.Failed() {
		t.Log(report)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
}

func TestAnotherProcessWritesToAnUpcallSegmentButCannotResizeIt(t *testing.T) {
	s, err := New(Upcall, 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	report := runChild(t, s)
	for _, way := range []string{"passed", "reopened"} {
		for what, want := range map[string]string{"map writable": "ok", "shrink": "EPERM", "grow": "EPERM", "seal": "EPERM"} {
			if want := way + " " + what + ": " + want + "\n"; !strings.Contains(report, want) {
				t.Errorf("missing %q in\n%s", want, report)
			}
		}
	}
	if got := string(s.Bytes()[4096 : 4096+14]); got != "from the child" {
		t.Errorf("the daemon sees %q", got)
	}
}

func TestSegmentsAreAllocatedInFull(t *testing.T) {
	for _, size := range []int64{4096, 2 << 20, 6 << 20, 3<<20 + 4096} {
		s, err := New(Receive, size)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		var st unix.Stat_t
		if err := unix.Fstat(s.fd, &st); err != nil {
			t.Fatal(err)
		}
		if int64(len(s.Bytes())) != size || st.Size != size || st.Blocks*512 < size {
			t.Errorf("%d bytes: mapped %d, file %d, allocated %d", size, len(s.Bytes()), st.Size, st.Blocks*512)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestSizesThatCannotBe(t *testing.T) {
	for _, size := range []int64{-4096, 0, 1, 4097, 1<<30 + 4096} {
		if _, err := New(Upcall, size); err == nil {
			t.Errorf("%d bytes: no error", size)
		}
	}
}
