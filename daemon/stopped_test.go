package daemon

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"sync"
	"syscall"
	"testing"

	"weft/internal/leakcheck"
	"weft/internal/pb/bridgepb"
	"weft/jvmbridge/bridgetest"
)

// stopped is an executor in a process of its own (apart_test.go) that has been stopped while it held all the memory that its application may have,
// and waited for one block more.
type stopped struct {
	a, b  *running // it is at a, owners are at b
	owner *executor

	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	holds int // blocks of a MiB
}

func stop(t *testing.T) *stopped {
	t.Helper()
	leakcheck.Check(t)
	opts := testOptions(t)
	opts.MemorySession = opts.MemoryMax // the share is the only bound
	s := &stopped{a: startDaemon(t, opts), b: startDaemon(t, testOptions(t))}
	s.owner = join(t, s.b.BridgeSocket, "stopped", "owner")
	s.owner.mapOutput(t, 0, 0, slices.Repeat([]int{apartSize}, apartBlocks)...)
	asked, answer := make(chan struct{}), make(chan struct{})
	give := sync.OnceFunc(func() { close(answer) })
	t.Cleanup(give)
	s.owner.Serve(func(string) bridgetest.Answer {
		close(asked)
		<-answer
		return bridgetest.Answer{Inline: lateBlock}
	})
	s.start(t)
	s.tell(t, s.owner.named(s.owner, "late"))
	<-asked // so it has what memory it needs
	s.tell(t, s.owner.shuffled(s.owner, 0, 0, apartBlocks))
	s.says(t, "holds %d", &s.holds)
	s.signal(t, syscall.SIGSTOP)
	eventually(t, "the executor has stopped", func() bool { return s.state(t) == "T" })
	give()
	share := opts.MemoryMax * int64(opts.AppShare) / 100
	if got := s.memory(t); got != share || int64(s.holds) < share>>20-4 { // of a region of 4 MiB the last block has a part
		t.Fatalf("the stopped executor has %d bytes of its share of %d, and holds %d MiB", got, share, s.holds)
	}
	return s
}

// start starts the process.
func (s *stopped) start(t *testing.T) {
	t.Helper()
	s.cmd = exec.Command(os.Args[0])
	s.cmd.Env = append(os.Environ(), apartSocket+"="+s.a.BridgeSocket)
	s.cmd.Stderr = t.Output()
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	in, err := s.cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.in, s.out = in, bufio.NewReader(out)
	t.Cleanup(func() { s.kill(t) })
}

// tell tells the process what to fetch.
func (s *stopped) tell(t *testing.T, m *bridgepb.Fetch) {
	t.Helper()
	if err := bridgetest.WriteFrame(s.in, m); err != nil {
		t.Fatal(err)
	}
}

// says reads the process's next line.
func (s *stopped) says(t *testing.T, format string, args ...any) {
	t.Helper()
	line, err := s.out.ReadString('\n')
	if err != nil {
		t.Fatalf("the executor apart, instead of %q: %v", format, err)
	}
	if n, err := fmt.Sscanf(line, format+"\n", args...); err != nil || n != len(args) {
		t.Fatalf("the executor apart says %q, want %q", line, format)
	}
}

func (s *stopped) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("%v to the executor apart: %v", sig, err)
	}
}

// state is the letter of /proc for the process's state.
func (s *stopped) state(t *testing.T) string {
	t.Helper()
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := bytes.Cut(stat, []byte(") "))
	return string(after[:1])
}

// kill is kill -9, of a stopped process, too; harmless when it has ended.
func (s *stopped) kill(t *testing.T) {
	t.Helper()
	if s.cmd.ProcessState == nil {
		s.signal(t, syscall.SIGKILL)
		_ = s.cmd.Wait() // tells of the signal
	}
}

// memory is what the stopped application has of the arenas at a.
func (s *stopped) memory(t *testing.T) int64 {
	t.Helper()
	for _, app := range s.a.status(t).Apps {
		if app.App == "stopped" {
			return app.Uses["memory"]
		}
	}
	return 0
}

// othersGoOn has an executor of another application come to the same daemon, hold most of what its share of the rest is, and fetch again and again.
func (s *stopped) othersGoOn(t *testing.T) {
	t.Helper()
	owner, reader := join(t, s.b.BridgeSocket, "other", "owner"), join(t, s.a.BridgeSocket, "other", "reader")
	large := owner.mapOutput(t, 0, 0, slices.Repeat([]int{1 << 20}, 8)...)
	mixed := owner.mapOutput(t, 0, 1, 10, 40<<10, 300<<10, 1<<20)
	held := reader.fetch(t, reader.shuffled(owner, 0, 0, len(large)))
	for range 20 {
		got := reader.fetch(t, reader.shuffled(owner, 0, 1, len(mixed)))
		wantBlocks(t, got, mixed, "tcp")
		reader.release(t, got)
	}
	wantBlocks(t, held, large, "tcp")
	reader.release(t, held)
	if state, holds := s.state(t), s.memory(t)>>20; state != "T" || holds < int64(s.holds) {
		t.Errorf("the stopped executor is in state %q and has %d MiB, and held %d", state, holds, s.holds)
	}
	reader.Close()
	owner.Close()
}

// A stopped executor keeps its leases, and nobody else from memory. When it continues, all that it has is right, and it gives it back and fetches on.
func TestStoppedExecutorContinues(t *testing.T) {
	s := stop(t)
	s.othersGoOn(t)
	s.signal(t, syscall.SIGCONT)
	if _, err := io.WriteString(s.in, "go on\n"); err != nil {
		t.Fatal(err)
	}
	var right int
	s.says(t, "right %d", &right)
	if right != s.holds+1 {
		t.Errorf("%d blocks of %d and the late one are right", right, s.holds)
	}
	s.says(t, "again %d", &right)
	if right != 1 {
		t.Error("the block that it fetched afterwards is not right")
	}
	s.a.wantNoLeases(t)
	if err := s.in.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.cmd.Wait(); err != nil {
		t.Errorf("the executor apart: %v", err)
	}
	s.owner.Close()
	wantNothingLeft(t, s.a, s.b)
}

// One that is killed while it is stopped leaves nothing.
func TestStoppedExecutorIsKilled(t *testing.T) {
	s := stop(t)
	s.othersGoOn(t)
	s.kill(t)
	eventually(t, "its memory is given back", func() bool { return s.memory(t) == 0 })
	s.owner.Close()
	wantNothingLeft(t, s.a, s.b)
}
