package rdma

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// The programs of perftest.
const (
	latency   = "ib_read_lat"
	bandwidth = "ib_read_bw"
)

var errNoPerftest = errors.New("perftest is not installed here: `apt-get install perftest` on Debian (it has " + latency + " and " + bandwidth + ")")

// perftestArgs are the same at both ends. Every READ asks for a completion, so that depth of them are in flight all the time.
func perftestArgs(a ask, device string, port uint16) []string {
	args := []string{
		"-R", "-F", "-d", device, "-p", strconv.Itoa(int(port)), "-s", strconv.Itoa(a.Block), "-n", strconv.Itoa(a.Iterations),
		"-o", strconv.Itoa(min(a.Depth, 16)), // as many as weft's connections have in flight in the device
	}
	if a.Program == bandwidth {
		args = append(args, "-t", strconv.Itoa(a.Depth), "-Q", "1")
	}
	return args
}

// ownPerftest is perftest's server for one row.
func (e *end) ownPerftest(ctx context.Context, a ask, in *json.Decoder, out *json.Encoder) error {
	if _, err := exec.LookPath(a.Program); err != nil {
		return errNoPerftest
	}
	port, err := freePort(e.addr)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c := exec.CommandContext(ctx, a.Program, perftestArgs(a, e.ctx.Name(), port)...)
	if err := c.Start(); err != nil {
		return err
	}
	if err := out.Encode(answer{Addr: netip.AddrPortFrom(e.addr, port)}); err != nil {
		cancel()
		return errors.Join(err, c.Wait())
	}
	over(in)
	late := time.AfterFunc(10*time.Second, cancel) // its client has ended
	err = c.Wait()
	late.Stop()
	if err != nil {
		return fmt.Errorf("the owner's %s: %w", a.Program, err)
	}
	return out.Encode(cost{CPUSeconds: cpuOf(c.ProcessState)})
}

func freePort(addr netip.Addr) (uint16, error) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(addr, 0)))
	if err != nil {
		return 0, err
	}
	return l.Addr().(*net.TCPAddr).AddrPort().Port(), l.Close() //nolint:forcetypeassert // as documented
}

func cpuOf(s *os.ProcessState) float64 { return (s.UserTime() + s.SystemTime()).Seconds() }

// perftest measures a row; one READ at a time is measured by both of its programs.
func (e *end) perftest(ctx context.Context, p peer, block, depth, iterations int) (Record, error) {
	rec := Record{Impl: Perftest, BlockBytes: block, Depth: depth}
	a := ask{Program: bandwidth, Block: block, Depth: depth, Iterations: iterations}
	out, cpu, err := e.client(ctx, p, a)
	if err == nil {
		rec.GBPerS, err = parseBandwidth(out, block)
	}
	if err != nil {
		return rec, err
	}
	rec.CPUSecPerGB = cpu / (float64(iterations) * float64(block) / 1e9)
	if depth == 1 {
		a.Program = latency
		if out, _, err = e.client(ctx, p, a); err == nil {
			rec.P50us, rec.P99us, err = parseLatency(out, block)
		}
	}
	return rec, err
}

// client runs a program of perftest against the peer's. It says nothing when it listens, so the client is started until it finds it.
func (e *end) client(ctx context.Context, p peer, a ask) (out []byte, cpu float64, err error) {
	if _, err := exec.LookPath(a.Program); err != nil {
		return nil, 0, errNoPerftest
	}
	others, err := p.row(ctx, a, func(got answer) error {
		for end := time.Now().Add(20 * time.Second); ; {
			var err error
			c := exec.CommandContext(ctx, a.Program, append(perftestArgs(a, e.ctx.Name(), got.Addr.Port()), got.Addr.Addr().String())...)
			if out, err = c.CombinedOutput(); err == nil {
				cpu = cpuOf(c.ProcessState)
				return nil
			}
			if ctx.Err() != nil || time.Now().After(end) {
				return fmt.Errorf("%s: %w: %s", a.Program, err, out)
			}
			select {
			case <-ctx.Done():
			case <-time.After(100 * time.Millisecond):
			}
		}
	})
	return out, cpu + others, err
}
