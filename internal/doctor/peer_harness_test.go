package doctor

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weft/daemon"
	"weft/internal/options"
)

// patience bounds what should take no time at all, on a machine that has much else to do.
const patience = time.Minute

// peerOptions are those of a daemon on loopback alone.
func peerOptions(t *testing.T) options.Options {
	t.Helper()
	dir, err := os.MkdirTemp("", "weft") // short enough for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	o := options.Default()
	o.SocketDir = filepath.Join(dir, "s")
	o.NetBind = netip.MustParseAddr("127.0.0.1")
	o.PeerConnectTimeout = patience / 4
	return o
}

// startDaemon runs a daemon in this process, and tells its port.
func startDaemon(t *testing.T, opts options.Options) Peer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan daemon.Info, 1), make(chan error, 1)
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	go func() { ended <- daemon.Run(ctx, opts, log, func(i daemon.Info) { ready <- i }) }()
	select {
	case info := <-ready:
		t.Cleanup(func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("the daemon ended with %v", err)
			}
		})
		return Peer{"127.0.0.1", info.PeerPort}
	case err := <-ended:
		cancel()
		t.Fatalf("the daemon did not start: %v", err)
	case <-time.After(patience):
		cancel()
		t.Fatal("the daemon is not ready")
	}
	panic("not reached")
}

// listen gives every connection to serve, which has to return when it is closed.
func listen(t *testing.T, serve func(net.Conn)) Peer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
			_ = c.Close()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-ended
	})
	return Peer{"127.0.0.1", uint16(l.Addr().(*net.TCPAddr).Port)}
}

// three are the lines on a peer.
func three(t *testing.T, opts options.Options, peer Peer) (overTCP, features, overRDMA Result) {
	t.Helper()
	r := RunPeer(t.Context(), opts, peer)
	for i := range r {
		t.Logf("%-4s  %-20s %s -> %s", r[i].Outcome, r[i].Check, r[i].Found, r[i].Todo)
	}
	if len(r) != 3 || r[0].Check != "peer tcp" || r[1].Check != "peer features" || r[2].Check != "peer rdma" {
		t.Fatalf("%+v", r)
	}
	return r[0], r[1], r[2]
}
