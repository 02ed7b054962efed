// Package all measures two hosts that have real devices, from a third or from one of them: TCP beside RDMA on the same link, perftest, and
// what decides about both. It starts weft on the hosts over ssh. It refuses to set anything up there, and to guess what it could not see.
package all

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// host runs commands on a host.
type host struct {
	name     string
	shell    []string // as ssh: the host and a line for its sh follow
	weft     string   // the program there
	progress io.Writer
}

func (h host) command(ctx context.Context, line string) *exec.Cmd {
	c := exec.CommandContext(ctx, h.shell[0], append(append([]string{}, h.shell[1:]...), h.name, line)...)
	c.Cancel = func() error { return c.Process.Signal(syscall.SIGTERM) } // what it runs there sees its input end
	c.WaitDelay = 5 * time.Second
	c.Stderr = &lines{name: h.name, to: h.progress}
	return c
}

// lines puts the host's name before each line of what it says.
type lines struct {
	name string
	to   io.Writer
	rest []byte // of a line that has not ended
}

func (l *lines) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, whole := bytes.Cut(l.rest, []byte("\n"))
		if !whole {
			return len(b), nil
		}
		l.rest = rest
		if _, err := fmt.Fprintf(l.to, "%s: %s\n", l.name, line); err != nil {
			return 0, err
		}
	}
}

// run runs a line and returns what it printed.
func (h host) run(ctx context.Context, line string) ([]byte, error) {
	c := h.command(ctx, line)
	out, err := c.Output()
	if err != nil {
		err = fmt.Errorf("%s: %s: %w", h.name, line, err)
	}
	return out, err
}

// get runs a line and decodes the JSON that it printed.
func (h host) get(ctx context.Context, line string, v any) error {
	out, err := h.run(ctx, line)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, v); err != nil {
		return fmt.Errorf("%s: %s printed %q: %w", h.name, line, out, err)
	}
	return nil
}

// service is a command that prints a line when it is ready, serves until its input ends, and may print more then.
type service struct {
	cmd   *exec.Cmd
	stdin io.Closer
	first string
	out   *bufio.Reader
}

func (h host) start(ctx context.Context, line string) (*service, error) {
	s := &service{cmd: h.command(ctx, line)}
	stdin, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.stdin, s.out = stdin, bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	if s.first, err = s.out.ReadString('\n'); err != nil {
		_, stopped := s.stop()
		return nil, fmt.Errorf("%s: %s did not start: %w", h.name, line, errors.Join(stopped, err))
	}
	s.first = strings.TrimSpace(s.first)
	return s, nil
}

// stop ends the service and returns the rest of what it printed.
func (s *service) stop() ([]byte, error) {
	_ = s.stdin.Close()
	rest, err := io.ReadAll(s.out)
	return bytes.TrimSpace(rest), errors.Join(err, s.cmd.Wait())
}
