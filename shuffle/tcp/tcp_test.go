package tcp_test

import (
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"weft/internal/leakcheck"
	"weft/internal/metrics"
	"weft/internal/version"
	"weft/shuffle"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

var (
	ownerID  = [16]byte{1, 2, 3}
	readerID = [16]byte{4, 5, 6}
)

func options(id [16]byte) tcp.Options {
	return tcp.Options{DaemonID: id, PeerTimeout: 20 * time.Second, Streams: 3, Log: slog.New(slog.DiscardHandler)}
}

// listen starts a server on a loopback address, and returns where it is.
func listen(t testing.TB, src shuffle.Source, network, host string) (*tcp.Server, shuffle.PeerAddr) {
	t.Helper()
	return listenWith(t, options(ownerID), src, network, host)
}

func listenWith(t testing.TB, opts tcp.Options, src shuffle.Source, network, host string) (*tcp.Server, shuffle.PeerAddr) {
	t.Helper()
	l, err := net.ListenTCP(network, &net.TCPAddr{IP: net.ParseIP(host)})
	if err != nil {
		t.Fatal(err)
	}
	s := tcp.NewServer(l, opts, src, metrics.NewSet())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve() }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return s, shuffle.PeerAddr{Hosts: []string{host}, Port: s.Addr().Port(), DaemonID: ownerID}
}

func dial(t testing.TB, peer shuffle.PeerAddr) shuffle.Conn {
	t.Helper()
	return dialWith(t, options(readerID), peer)
}

func dialWith(t testing.TB, opts tcp.Options, peer shuffle.PeerAddr) shuffle.Conn {
	t.Helper()
	return dialBy(t, tcp.New(opts), peer)
}

func dialBy(t testing.TB, by *tcp.Transport, peer shuffle.PeerAddr) shuffle.Conn {
	t.Helper()
	c, err := by.Dial(t.Context(), peer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestConformance(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		for _, w := range ways {
			t.Run(w.name+"/"+host, func(t *testing.T) {
				transporttest.Run(t, func(t *testing.T, src shuffle.Source) transporttest.Link {
					s, peer := listen(t, src, "tcp", host)
					return transporttest.Link{Conn: dialBy(t, w.transport(options(readerID)), peer), Kill: func() { _ = s.Close() }}
				})
			})
		}
	}
}

// Who asks for a daemon finds the one that has taken over from it, and both prove what they have to each other.
func TestFormerDaemon(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		former, unknown := [16]byte{7}, [16]byte{8}
		src := transporttest.NewSource(t)
		src.Admit(anApp)
		opts := options(ownerID)
		opts.Former = [][16]byte{{6}, former}
		_, peer := listenWith(t, opts, src, "tcp", "127.0.0.1")
		peer.DaemonID = former
		if err := tcp.Open(dialBy(t, w.transport(options(readerID)), peer), anApp); err != nil {
			t.Error(err)
		}
		peer.DaemonID = unknown
		if _, err := w.transport(options(readerID)).Dial(t.Context(), peer); err == nil || !strings.Contains(err.Error(), "another daemon answers there") {
			t.Errorf("who asks for another one: %v", err)
		}
	})
}

// Who asks for any daemon hears which one answered; who asks for one gets no other.
func TestHello(t *testing.T) {
	s, peer := listen(t, transporttest.NewSource(t), "tcp", "127.0.0.1")
	want := tcp.Hello{Addr: s.Addr(), DaemonID: ownerID, Version: version.String()}
	for _, id := range [][16]byte{{}, ownerID} {
		peer.DaemonID = id
		if h := tcp.HelloOf(dial(t, peer)); h != want || h.Direct() || h.Unknown() != 0 {
			t.Errorf("%+v, want %+v", h, want)
		}
	}
	peer.DaemonID = readerID
	if _, err := tcp.New(options(readerID)).Dial(t.Context(), peer); err == nil || !strings.Contains(err.Error(), "another daemon answers") {
		t.Errorf("dialling another one: %v", err)
	}
	if h := (tcp.Hello{Features: 5}); !h.Direct() || h.Unknown() != 4 {
		t.Errorf("features 5: %v, %d", h.Direct(), h.Unknown())
	}
}
