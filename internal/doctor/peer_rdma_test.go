//go:build rdma

package doctor

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"

	"weft/internal/leakcheck"
	"weft/internal/options"
	"weft/shuffle"
	"weft/shuffle/rdma"
	"weft/shuffle/tcp"
	"weft/verbs/verbstest"
)

// A daemon's memory is read by RDMA, and is what it should be; again and again, since everything is given back.
func TestPeerRead(t *testing.T) {
	leakcheck.Check(t)
	name := verbstest.Device(t).Name()
	opts := peerOptions(t)
	opts.RDMADevice = name
	peer := startDaemon(t, opts)
	for range 3 {
		overTCP, features, overRDMA := three(t, opts, peer)
		overTCP.is(t, OK, "; 1 MiB in ", "")
		features.is(t, OK, "active: rdma; refused: none", "")
		overRDMA.is(t, OK, " by "+name+" from ", "")
		overRDMA.is(t, OK, "all bytes right", "")
	}
	opts.RDMADevice = "none"
	_, features, overRDMA := three(t, opts, peer)
	features.is(t, OK, "active: none; refused: rdma, by this host", "")
	overRDMA.is(t, OK, "not wanted", "")
}

func TestPeerWithoutDevice(t *testing.T) {
	leakcheck.Check(t)
	opts := peerOptions(t)
	opts.RDMADevice = "none"
	peer := startDaemon(t, opts)
	for name, outcome := range map[string]Outcome{"auto": Warn, verbstest.Device(t).Name(): Fail} {
		opts.RDMADevice = name
		overTCP, features, overRDMA := three(t, opts, peer)
		overTCP.is(t, OK, "; 1 MiB in ", "")
		features.is(t, OK, "active: none; refused: rdma, by the peer", "")
		overRDMA.is(t, outcome, "the peer has no device", "`weft doctor` on that host")
	}
}

// strange is a daemon's device that sends readers to another port of it.
type strange struct {
	shuffle.Direct
	port uint16
}

func (s *strange) Invite(app shuffle.App) ([]byte, func(), error) {
	invitation, withdraw, err := s.Direct.Invite(app)
	if err != nil {
		return nil, nil, err
	}
	token, addr, err := rdma.ParseInvitation(invitation)
	if s.port != 0 {
		addr = netip.AddrPortFrom(addr.Addr(), s.port)
	}
	text, _ := addr.MarshalBinary()
	return append(token[:], text...), withdraw, err
}

// memory serves itself.
type memory []byte

func (m memory) App(string) (shuffle.App, error) { return shuffle.ProbeApp, nil }

func (memory) Ask(context.Context, *shuffle.LocateRequest, func([]shuffle.Found)) bool { return false }

func (m memory) Locate(context.Context, *shuffle.LocateRequest) ([]shuffle.Found, error) {
	return []shuffle.Found{{Length: int64(len(m)), Mem: m}}, nil
}

// serveStrangely serves memory that may not be read remotely, at a port where nobody listens or at the right one (0).
func serveStrangely(t *testing.T, opts options.Options, port uint16) Peer {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	d, err := (&visit{machine: &machine{opts: opts}, log: log}).open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.close(); err != nil {
			t.Error(err)
		}
	})
	shuffle.FillProbe(d.mem)
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := tcp.NewServer(l, tcp.Options{Log: log, Direct: &strange{d, port}, Metrics: d.metrics}, memory(d.mem), d.metrics)
	ended := make(chan error, 1)
	go func() { ended <- s.Serve() }()
	t.Cleanup(func() {
		verbstest.Close(t, s)
		<-ended
	})
	return Peer{"127.0.0.1", s.Addr().Port()}
}

// Where RDMA does not work though TCP does, the line says how far it came.
func TestPeerReadFails(t *testing.T) {
	leakcheck.Check(t)
	opts := peerOptions(t)
	opts.RDMADevice = verbstest.Device(t).Name()
	for port, found := range map[uint16]string{0: "but the READ of 1 MiB failed: ", 1: ":1 failed after "} {
		overTCP, features, overRDMA := three(t, opts, serveStrangely(t, opts, port))
		overTCP.is(t, OK, "; 1 MiB in ", "")
		features.is(t, OK, "active: rdma; refused: none", "")
		if overRDMA.Outcome != Fail || !strings.Contains(overRDMA.Found, found) || overRDMA.Todo == "" {
			t.Errorf("%+v, want %s", overRDMA, found)
		}
	}
}
