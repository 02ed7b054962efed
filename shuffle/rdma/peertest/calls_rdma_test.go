//go:build rdma

package peertest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"weft/shuffle/rdma"
	"weft/shuffle/tcp"
)

// trace counts the system calls of this process, of all its threads, by strace.
type trace struct {
	cmd   *exec.Cmd
	dir   string
	lines *bufio.Reader
}

// begin returns when every call counts.
func (s *trace) begin() error {
	debug.FreeOSMemory() // else Go's runtime may do that meanwhile, with hundreds of calls
	var err error
	if s.dir, err = os.MkdirTemp("", "trace"); err != nil {
		return err
	}
	s.cmd = exec.Command("strace", "-f", "-c", "-U", "calls,name", "-o", filepath.Join(s.dir, "calls"), "-p", strconv.Itoa(os.Getpid()))
	stderr, err := s.cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := s.cmd.Start(); err != nil {
		s.cmd = nil
		return fmt.Errorf("%w (it is in the package strace)", err)
	}
	s.lines = bufio.NewReader(stderr)
	if line, err := s.lines.ReadString('\n'); err != nil || !strings.Contains(line, " attached") {
		_, _, _ = s.end()
		return fmt.Errorf("strace did not attach: %q, %w", line, err)
	}
	return nil
}

var totalLine = regexp.MustCompile(`(?m)^ *(\d+) +total$`)

// end returns how many calls there were, and strace's table of them.
func (s *trace) end() (calls int, table string, err error) {
	if s.cmd == nil {
		return 0, "", errors.New("nothing is traced")
	}
	defer os.RemoveAll(s.dir)
	_ = s.cmd.Process.Signal(unix.SIGINT)
	_, _ = io.Copy(io.Discard, s.lines)
	_ = s.cmd.Wait() // strace ends by the signal itself
	s.cmd = nil
	b, err := os.ReadFile(filepath.Join(s.dir, "calls"))
	if err != nil {
		return 0, "", err
	}
	m := totalLine.FindStringSubmatch(string(b))
	if m == nil {
		return 0, "", fmt.Errorf("strace counted nothing: %s", b)
	}
	calls, err = strconv.Atoi(m[1])
	return calls, string(b), err
}

// While its memory is READ, the serving process makes no system call for it: fewer than one for 16 pieces, with whatever else it does. Over TCP there is at
// least one for each piece, which shows that calls are counted.
func TestServingREADsTakesNoSystemCalls(t *testing.T) {
	b := newBlocks(t, limit)
	count := func(rounds int, by string) (pieces, calls int) {
		pieces = rounds * ownerBytes / piece
		b.order(t, "trace")
		right, direct, err := b.read(t, rounds, nil)
		a := b.order(t, "traced")
		if right != pieces || by == rdma.Name && direct != pieces || by != rdma.Name && direct != 0 {
			t.Fatalf("%d of %d pieces came, %d by RDMA: %v", right, pieces, direct, err)
		}
		t.Logf("the server of %d pieces by %s made these calls:\n%s", pieces, by, a.Text)
		return pieces, a.Number
	}
	if pieces, calls := count(64, rdma.Name); calls > pieces/16 {
		t.Errorf("%d system calls while %d pieces were READ", calls, pieces)
	}
	b.conn = b.connect(t, tcp.Options{PeerTimeout: limit, Log: slog.New(slog.DiscardHandler)})
	if pieces, calls := count(4, "tcp"); calls < pieces {
		t.Errorf("%d system calls while %d pieces were sent over TCP", calls, pieces)
	}
}
