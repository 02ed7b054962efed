package tcp_test

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"weft/internal/metrics"
	"weft/internal/pb/blockpb"
	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

// answer reads an answer, without the payload.
func answer(t *testing.T, sock net.Conn) (*peerpb.Response, int) {
	t.Helper()
	resp := new(peerpb.Response)
	payload, err := readFrame(sock, resp)
	if err != nil {
		t.Fatal(err)
	}
	return resp, payload
}

// readFrame reads the header and the message of a frame.
func readFrame(sock net.Conn, m proto.Message) (payload int, err error) {
	header := make([]byte, 8)
	if _, err := io.ReadFull(sock, header); err != nil {
		return 0, err
	}
	msg := make([]byte, binary.BigEndian.Uint32(header))
	if _, err := io.ReadFull(sock, msg); err != nil {
		return 0, err
	}
	return int(binary.BigEndian.Uint32(header[4:])), proto.Unmarshal(msg, m)
}

// A file that is cut after its length was promised ends the connection: nothing takes the place of the missing bytes.
func TestFileCutWhileItIsSent(t *testing.T) {
	const size = 64 << 20 // much more than the sockets take while nobody reads
	src := transporttest.NewSource(t)
	src.AddHole(transporttest.ID(0), size, 0)
	s, _ := listen(t, src, "tcp", "127.0.0.1")
	sock, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = sock.Close() }()
	_ = sock.SetDeadline(time.Now().Add(20 * time.Second))
	send := func(b []byte) {
		if _, err := sock.Write(b); err != nil {
			t.Fatal(err)
		}
	}
	send(requestHello(t, 2))
	answer(t, sock)
	id := transporttest.ID(0)
	send(frame(t, &peerpb.Request{Kind: &peerpb.Request_Locate{Locate: &peerpb.Locate{Id: 1, AppToken: make([]byte, 32), Blocks: &blockpb.Blocks{
		ShuffleId: []uint32{id.Shuffle}, MapId: []uint64{id.Map}, ReduceStart: []uint32{id.ReduceStart}, ReduceEnd: []uint32{id.ReduceEnd},
	}}}}, 0))
	located, _ := answer(t, sock)
	handle := located.GetLocated().GetHandle()
	send(frame(t, &peerpb.Request{Kind: &peerpb.Request_Read{Read: &peerpb.Read{Id: 2, Handle: handle, Offset: []uint64{0}, Length: []uint64{size}}}}, 0))
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
	if _, err := sock.Write(requestHello(t, 2)); err != nil {
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
