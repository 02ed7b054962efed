package tcp_test

import (
	"bytes"
	"io"
	"testing"
	"time"

	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

// A file is cut after its length was promised. With a checksum zeroes take the place of the missing bytes, and the connection goes on: what others
// read over it does not end. Without one the connection ends.
func TestFileCutWhileItIsSent(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		t.Run("checked", func(t *testing.T) {
			sock, _ := w.cut(t, func(*transporttest.Source) {})
			if n, err := io.CopyN(io.Discard, sock, cutSize); err != nil {
				t.Errorf("%d bytes came (%v)", n, err)
			}
			sock.request(&peerpb.Request{Kind: &peerpb.Request_Ping{Ping: &peerpb.Ping{Nonce: 7}}})
			if resp, _ := answer(t, sock); resp.GetPong().GetNonce() != 7 {
				t.Errorf("then: %v", resp)
			}
		})
		t.Run("unchecked", func(t *testing.T) {
			sock, s := w.cut(t, (*transporttest.Source).Uncheck)
			n, err := io.Copy(io.Discard, sock)
			if n > cutSize/2 || isTimeout(err) {
				t.Errorf("%d bytes came of a file of %d (%v)", n, cutSize/2, err)
			}
			// It was this connection's end, not the server's.
			c := dialBy(t, w.transport(options(readerID)), shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: s.Addr().Port(), DaemonID: ownerID})
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
	})
}

const cutSize = 64 << 20 // much more than the sockets take while nobody reads

// cut has a block sent of which half of the file is cut off when its first bytes are on their way.
func (w way) cut(t *testing.T, with func(*transporttest.Source)) (*byHand, *tcp.Server) {
	t.Helper()
	const size = cutSize
	src := transporttest.NewSource(t)
	with(src)
	src.AddHole(transporttest.ID(0), size, 0)
	s, _ := listen(t, src, "tcp", "127.0.0.1")
	sock := w.greet(t, s.Addr().String())
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
	return sock, s
}

// From a peer that does not read its answers nothing more is read, and it is given up after weft.peer.timeout.
func TestUnreadAnswers(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		opts := options(ownerID)
		opts.PeerTimeout = time.Second
		s, _ := listenWith(t, opts, transporttest.NewSource(t), "tcp", "127.0.0.1")
		sock := w.greet(t, s.Addr().String())
		_ = sock.SetDeadline(time.Now().Add(time.Minute))
		ping := bytes.Repeat(frame(t, &peerpb.Request{Kind: &peerpb.Request_Ping{Ping: &peerpb.Ping{Nonce: 1 << 60}}}, 0), 1000)
		for {
			if _, err := sock.Write(ping); err != nil {
				if isTimeout(err) {
					t.Error("the server neither reads nor ends the connection")
				}
				return
			}
		}
	})
}
