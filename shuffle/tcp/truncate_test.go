package tcp_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"weft/internal/metrics"
	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

// A file that is cut after its length was promised ends the connection: nothing takes the place of the missing bytes.
func TestFileCutWhileItIsSent(t *testing.T) {
	for name, greet := range map[string]func(testing.TB, string) *byHand{
		tcp.Name: func(t testing.TB, addr string) *byHand {
			r, _ := greet(t, addr, hello(3, readerID))
			return r
		},
		tcp.NameTLS: greetTLS,
	} {
		t.Run(name, func(t *testing.T) { testFileCut(t, greet) })
	}
}

func testFileCut(t *testing.T, greet func(testing.TB, string) *byHand) {
	const size = 64 << 20 // much more than the sockets take while nobody reads
	src := transporttest.NewSource(t)
	src.AddHole(transporttest.ID(0), size, 0)
	s, _ := listen(t, src, "tcp", "127.0.0.1")
	sock := greet(t, s.Addr().String())
	sock.request(locateOf(sock.open(shuffle.App{}), transporttest.ID(0)))
	located, _ := answer(t, sock)
	handle := located.GetLocated().GetHandle()
	sock.request(&peerpb.Request{Kind: &peerpb.Request_Read{Read: &peerpb.Read{Id: 2, Handle: handle, Offset: []uint64{0}, Length: []uint64{size}}}})
	if resp, n := answer(t, sock); n != size || resp.GetData().GetReason() != 0 {
		t.Fatalf("%v with %d bytes", resp, n)
	}
	if err := src.File.Truncate(size / 2); err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(io.Discard, sock)
	if n > size/2 || isTimeout(err) {
		t.Errorf("%d bytes came of a file of %d (%v)", n, size/2, err)
	}
	// It was this connection's end, not the server's.
	c := dial(t, shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: s.Addr().Port(), DaemonID: ownerID})
	if err := c.Close(); err != nil {
		t.Error(err)
	}
}

// From a peer that does not read its answers nothing more is read, and it is given up after weft.peer.timeout.
func TestUnreadAnswers(t *testing.T) {
	src := transporttest.NewSource(t)
	opts := options(ownerID)
	opts.PeerTimeout = time.Second
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	s := tcp.NewServer(l, opts, src, metrics.NewSet())
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	defer func() {
		_ = s.Close()
		<-served
	}()
	sock, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sock.Close() }()
	_ = sock.SetDeadline(time.Now().Add(time.Minute))
	if _, err := sock.Write(requestHello(t, 3)); err != nil {
		t.Fatal(err)
	}
	ping := bytes.Repeat(frame(t, &peerpb.Request{Kind: &peerpb.Request_Ping{Ping: &peerpb.Ping{Nonce: 1 << 60}}}, 0), 1000)
	for {
		if _, err := sock.Write(ping); err != nil {
			if isTimeout(err) {
				t.Error("the server neither reads nor ends the connection")
			}
			return
		}
	}
}
