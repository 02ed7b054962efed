package doctor

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"weft/internal/leakcheck"
	"weft/internal/options"
	"weft/shuffle"
	"weft/shuffle/tcp"
)

func TestParsePeer(t *testing.T) {
	opts := options.Default()
	opts.NetPort = options.PortRange{Low: 7400, High: 7420}
	for s, want := range map[string]string{
		"node2": "node2:7400", "node2:80": "node2:80", "10.0.0.2": "10.0.0.2:7400", "::1": "[::1]:7400", "[::1]": "[::1]:7400", "[::1]:80": "[::1]:80",
		"fe80::1%eth0": "[fe80::1%eth0]:7400",
	} {
		if p, err := ParsePeer(s, opts); err != nil || p.String() != want {
			t.Errorf("%s: %v, %v, want %s", s, p, err, want)
		}
	}
	for _, s := range []string{"", ":80", "node2:", "node2:0", "node2:65536", "node2:http", "a:b:c", "[::1]80"} {
		if p, err := ParsePeer(s, opts); err == nil || !strings.Contains(err.Error(), "want HOST or HOST:PORT") {
			t.Errorf("%q: %v, %v", s, p, err)
		}
	}
	if _, err := ParsePeer("node2", options.Default()); err == nil || !strings.Contains(err.Error(), "`weft status` on node2 says which; then --peer node2:PORT") {
		t.Errorf("without a port: %v", err)
	}
	if _, err := ParsePeer("", options.Default()); err == nil || !strings.Contains(err.Error(), "want HOST or HOST:PORT") {
		t.Errorf("nothing: %v", err)
	}
	if p, err := ParsePeer("node2:80", options.Default()); err != nil || p.Port != 80 {
		t.Errorf("%v, %v", p, err)
	}
}

// Without RDMA on either side.
func TestPeer(t *testing.T) {
	leakcheck.Check(t)
	owner := peerOptions(t)
	owner.RDMADevice = "none"
	peer := startDaemon(t, owner)
	reader := peerOptions(t)
	reader.RDMADevice = "nothing0"
	for range 2 { // the daemon has its block from the first time on
		overTCP, features, overRDMA := three(t, reader, peer)
		overTCP.is(t, OK, "connected to "+peer.String()+" in ", "")
		overTCP.is(t, OK, "; 1 MiB in ", "")
		features.is(t, OK, "active: none; refused: rdma, by both", "")
		overRDMA.is(t, Fail, "this host has no device: ", "RDMA above")
	}
	reader.RDMADevice = "none"
	_, _, overRDMA := three(t, reader, peer)
	overRDMA.is(t, OK, "not wanted: weft.rdma.device is none", "")
}

func TestPeerThatIsNone(t *testing.T) {
	leakcheck.Check(t)
	opts := peerOptions(t)
	opts.RDMADevice = "none"
	expect := func(peer Peer, found, todo string) {
		t.Helper()
		overTCP, features, overRDMA := three(t, opts, peer)
		overTCP.is(t, Fail, found, todo)
		features.is(t, Warn, "not tried", "see peer tcp")
		overRDMA.is(t, Warn, "not tried", "see peer tcp")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(l.Addr().(*net.TCPAddr).Port)
	_ = l.Close()
	expect(Peer{"127.0.0.1", port}, "connection refused", "start `weft daemon` there")
	expect(Peer{"no such name", port}, "no such name", "correct the name")

	web := listen(t, func(c net.Conn) {
		_, _ = c.Read(make([]byte, 1000))
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad\x1b[31m Request\r\n\r\n")
	})
	expect(web, web.String()+": no weft daemon answers there: ", "`weft status` on that host tells its port")
	expect(listen(t, func(net.Conn) {}), "no weft daemon answers there: ", "`weft status` on that host tells its port")

	opts.PeerConnectTimeout = 100 * time.Millisecond
	silent := listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
	expect(silent, silent.String()+" does not answer within 100ms", "firewalls")
}

func TestFeatures(t *testing.T) {
	for _, c := range []struct {
		features uint64
		here     bool
		want     string
	}{
		{1, true, "active: rdma; refused: none"},
		{1, false, "active: none; refused: rdma, by this host"},
		{0, true, "active: none; refused: rdma, by the peer"},
		{0, false, "active: none; refused: rdma, by both"},
		{5, true, "active: rdma; refused: 0x4, unknown to this version"},
		{4, true, "active: none; refused: rdma, by the peer, and 0x4, unknown to this version"},
	} {
		if r := features(tcp.Hello{Features: c.features}, c.here); r.Found != c.want || r.Outcome != OK {
			t.Errorf("%d, %v: %+v, want %s", c.features, c.here, r, c.want)
		}
	}
}

// What is said of each way in which a READ may end.
func TestJudge(t *testing.T) {
	broken := errors.New("broken")
	judge := func(w watched, f fetched) Result { return w.judge(f, "mlx5_0") }
	judge(watched{dialled: true, dialTook: time.Millisecond, readTook: time.Second}, fetched{by: "rdma"}).
		is(t, OK, "1 MiB READ in 1000.0 ms by mlx5_0 from invalid AddrPort, all bytes right; connected in 1.0 ms", "")
	judge(watched{dialled: true, dialErr: broken}, fetched{}).is(t, Fail, "connecting from mlx5_0 to ", "UDP port 4791")
	judge(watched{dialled: true, dialErr: context.DeadlineExceeded}, fetched{}).is(t, Fail, "no answer within ", "UDP port 4791")
	judge(watched{dialled: true, readErr: broken}, fetched{}).is(t, Fail, "the READ of 1 MiB failed: broken", "MTU")
	judge(watched{dialled: true}, fetched{by: "rdma", err: errOther}).is(t, Fail, "other bytes came", "try again")
	judge(watched{dialled: true}, fetched{}).is(t, Fail, "1 MiB here was not registered", "memlock")
	judge(watched{}, fetched{}).is(t, Fail, "does not let its memory be read", "memlock")
	judge(watched{}, fetched{err: shuffle.Errorf(shuffle.ReasonPeerLost, "gone")}).is(t, Fail, "peer_lost: gone", "try again")
}

func TestClean(t *testing.T) {
	if got := clean("one\ntwo\x1b[31m\u202e"); got != "one, two [31m " {
		t.Errorf("%q", got)
	}
}
