package tcp_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"weft/internal/metrics"
	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

// relay passes bytes on between readers and the server, by these functions, and returns its port.
func relay(t *testing.T, to string, up, down func(io.Writer, io.Reader)) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			reader, err := l.Accept()
			if err != nil {
				return
			}
			owner, err := net.Dial("tcp", to)
			if err != nil {
				_ = reader.Close()
				return
			}
			pass := func(from, to net.Conn, by func(io.Writer, io.Reader)) {
				by(to, from)
				_, _ = from.Close(), to.Close()
			}
			served.Go(func() { pass(reader, owner, up) })
			served.Go(func() { pass(owner, reader, down) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		served.Wait()
	})
	return uint16(l.Addr().(*net.TCPAddr).Port) //nolint:forcetypeassert // a TCP listener
}

// heardBetween is what crosses the network while blocks of a file, of memory and of an answer are fetched by this transport.
func heardBetween(t *testing.T, transport func(tcp.Options) *tcp.Transport, app shuffle.App, blocks [][]byte) []byte {
	src := transporttest.NewSource(t)
	src.Admit(app)
	ids := make([]shuffle.BlockID, len(blocks))
	for i, b := range blocks {
		if ids[i] = transporttest.ID(i); i%2 == 0 {
			src.AddFile(ids[i], b)
		} else {
			src.AddMem(ids[i], b)
		}
	}
	s, peer := listen(t, src, "tcp", "127.0.0.1")
	var heard lines
	listen := func(to io.Writer, from io.Reader) { _, _ = io.Copy(io.MultiWriter(to, &heard), from) }
	peer.Port = relay(t, s.Addr().String(), listen, listen)
	c := dialBy(t, transport(options(readerID)), peer)
	located := make(chan []shuffle.Located, 1)
	eager := make([]byte, 1<<20)
	c.Locate(&shuffle.LocateRequest{App: app, Executor: "executor-of-the-owner", Blocks: ids, EagerBlock: 4096}, eager, func(l []shuffle.Located, err error) {
		if err != nil {
			t.Error(err)
		}
		located <- l
	})
	for i, l := range <-located {
		got := make([]byte, len(blocks[i]))
		if l.Err != nil {
			t.Fatal(l.Err)
		}
		if l.Handle == 0 {
			copy(got, eager[l.EagerOff:])
		} else {
			ended := make(chan error, 1)
			c.Read([]shuffle.ReadRequest{{Ranges: []shuffle.Range{{Handle: l.Handle, Length: l.Length}}, Dst: got, Done: func(err error) { ended <- err }}})
			if err := <-ended; err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, blocks[i]) {
			t.Errorf("block %d: other bytes", i)
		}
	}
	_ = c.Close()
	heard.mu.Lock()
	defer heard.mu.Unlock()
	return bytes.Clone(heard.text.Bytes())
}

// Who listens to a connection under TLS hears nothing of a block, of who asks for it, and of which; without TLS all of it.
func TestNothingIsHeardUnderTLS(t *testing.T) {
	blocks := [][]byte{
		bytes.Repeat([]byte("plaintext of a file. "), 60_000), bytes.Repeat([]byte("plaintext of memory. "), 60_000),
		bytes.Repeat([]byte("plaintext of a small file. "), 100), bytes.Repeat([]byte("plaintext of little memory. "), 100),
	}
	words := []string{"plaintext of a file", "plaintext of memory", "plaintext of a small file", "plaintext of little memory", "secret-app", "executor-of-the-owner"}
	plain := secretApp
	plain.Encrypted = false
	open, sealed := heardBetween(t, tcp.New, plain, blocks), heardBetween(t, tcp.NewTLS, secretApp, blocks)
	for _, word := range words {
		if !bytes.Contains(open, []byte(word)) {
			t.Errorf("%q is not heard without TLS", word)
		}
		if bytes.Contains(sealed, []byte(word)) {
			t.Errorf("%q is heard", word)
		}
	}
	if len(sealed) < len(blocks[0])+len(blocks[1]) {
		t.Errorf("%d bytes were heard", len(sealed))
	}
}

// What is changed on the way under TLS ends the connection, and is no data.
func TestChangedOnTheWay(t *testing.T) {
	g := guardSecret(t)
	big := transporttest.Bytes(9, 4<<20)
	id := transporttest.ID(77)
	g.src.AddFile(id, big)
	peer := g.peer
	peer.Port = relay(t, g.server.Addr().String(), func(to io.Writer, from io.Reader) { _, _ = io.Copy(to, from) }, func(to io.Writer, from io.Reader) {
		if _, err := io.CopyN(to, from, 1<<20); err != nil {
			return // a connection over which little came
		}
		one := make([]byte, 1)
		if _, err := io.ReadFull(from, one); err == nil {
			one[0] ^= 1
			_, _ = to.Write(one)
			_, _ = io.Copy(to, from)
		}
	})
	c := dialTLS(t, peer, metrics.NewSet())
	located := make(chan []shuffle.Located, 1)
	c.Locate(&shuffle.LocateRequest{App: secretApp, Blocks: []shuffle.BlockID{id}}, nil, func(l []shuffle.Located, err error) {
		if err != nil {
			t.Error(err)
		}
		located <- l
	})
	l := <-located
	dst := make([]byte, len(big))
	most := 0
	ended := make(chan error, 1)
	c.Read([]shuffle.ReadRequest{{
		Ranges: []shuffle.Range{{Handle: l[0].Handle, Length: l[0].Length}}, Dst: dst,
		Arrived: func(n int) { most = n }, Done: func(err error) { ended <- err },
	}})
	var be *shuffle.BlockError
	if err := <-ended; err == nil || errors.As(err, &be) {
		t.Errorf("%v, want that the connection ended", err)
	}
	if !bytes.Equal(dst[:most], big[:most]) || most == 0 || most > 1<<20 {
		t.Errorf("%d bytes arrived, or others than were sent", most)
	}
	<-c.Closed()
}

// What is no TLS, or no weft within it, ends the connection it comes over with one line in the log, and no other.
func TestServerRefusesStrangersUnderTLS(t *testing.T) {
	random := make([]byte, 4096)
	rng := rand.New(rand.NewPCG(7, 8)) //nolint:gosec // a test
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	inside := func(sent []byte) func(net.Conn) error {
		return func(sock net.Conn) error {
			sealed := tls.Client(sock, clientTLS())
			if err := sealed.Handshake(); err != nil {
				return err
			}
			_, err := sealed.Write(sent)
			return err
		}
	}
	outside := func(sent ...byte) func(net.Conn) error {
		return func(sock net.Conn) error {
			_, err := sock.Write(sent)
			return err
		}
	}
	for name, say := range map[string]func(net.Conn) error{
		"random after the type of a record": outside(append([]byte{0x16}, random...)...),
		"a handshake of garbage":            outside(append([]byte{0x16, 3, 1, 0x10, 0}, random...)...),
		"random within":                     inside(random),
		"another version within":            inside(requestHello(t, 2)),
		"no hello within":                   inside(frame(t, &peerpb.Request{Kind: &peerpb.Request_Ping{Ping: &peerpb.Ping{}}}, 0)),
		"long, before any proof":            inside(append(requestHello(t, 3), 0, 1, 0, 1, 0, 0, 0, 0)),
		"no TLS any more": func(sock net.Conn) error {
			if err := inside(requestHello(t, 3))(sock); err != nil {
				return err
			}
			_, err := sock.Write(random)
			return err
		},
		"hellos alone": func(sock net.Conn) error {
			m := &peerpb.Request{Kind: &peerpb.Request_Hello{Hello: hello(3, readerID)}}
			sent, err := proto.Marshal(m)
			if err != nil {
				return err
			}
			return inside(append(requestHello(t, 3), append([]byte{0, 0, 0, byte(len(sent)), 0, 0, 0, 0}, sent...)...))(sock)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := guardSecret(t)
			other := dialTLS(t, g.peer, metrics.NewSet())
			sock, err := net.Dial("tcp", g.server.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = sock.Close() }()
			_ = sock.SetDeadline(time.Now().Add(2 * time.Minute))
			if err := say(sock); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, sock); isTimeout(err) {
				t.Fatal("the connection was not ended")
			}
			if err := tcp.Open(other, secretApp); err != nil {
				t.Errorf("another peer's connection: %v", err)
			}
			_ = g.server.Close() // the connection's end is logged then
			if got := g.log.all(); len(got) != 1 || !strings.Contains(got[0], "level=WARN") {
				t.Errorf("log: %q, want one warning", got)
			}
		})
	}
}

// Who begins a handshake and does not go on is dropped like everybody who says no hello, and holds up nobody meanwhile; nor the server's end.
func TestHalfAHandshake(t *testing.T) {
	g := guardSecret(t)
	half := func() net.Conn {
		sock, err := net.Dial("tcp", g.server.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = sock.SetDeadline(time.Now().Add(time.Minute))
		if _, err := sock.Write([]byte{0x16, 3, 1, 2, 0, 1, 0}); err != nil {
			t.Fatal(err)
		}
		return sock
	}
	all := make([]net.Conn, 20)
	for i := range all {
		all[i] = half()
		defer func() { _ = all[i].Close() }()
	}
	if err := tcp.Open(dialTLS(t, g.peer, metrics.NewSet()), secretApp); err != nil {
		t.Errorf("another peer meanwhile: %v", err)
	}
	for _, sock := range all {
		if _, err := io.Copy(io.Discard, sock); isTimeout(err) {
			t.Fatal("the connection was not ended")
		}
	}
	last := half()
	defer func() { _ = last.Close() }()
	if err := g.server.Close(); err != nil {
		t.Error(err)
	}
	if _, err := io.Copy(io.Discard, last); isTimeout(err) {
		t.Error("the server's end leaves a handshake")
	}
}

// Where both sides have a way to read without the owner's processor, connections under TLS leave it: nothing is exposed, nobody invited.
func TestNothingIsReadDirectlyUnderTLS(t *testing.T) {
	direct := transporttest.NewDirect()
	src := transporttest.NewSource(t)
	src.Admit(secretApp)
	src.Admit(anApp)
	ids, data := src.Add(100_000, 100_000)
	opts := options(ownerID)
	opts.Direct = direct
	s, peer := listenWith(t, opts, src, "tcp", "127.0.0.1")
	opts = options(readerID)
	opts.Direct = direct
	r := &directRig{t: t, src: src, direct: direct, server: s, conn: dialBy(t, tcp.NewTLS(opts), peer)}
	if h := tcp.HelloOf(r.conn); h.Direct() {
		t.Errorf("features %b", h.Features)
	}
	for range 2 {
		r.fetch(secretApp, ids, data, "")
	}
	// The owner's side keeps that by itself, too, whatever it is asked.
	hand := greetTLS(t, s.Addr().String())
	locate := locateOf(hand.open(secretApp), ids[0])
	locate.GetLocate().Parts, locate.GetLocate().Invitation = true, true
	hand.request(locate)
	resp, _ := answer(t, hand)
	if l := resp.GetLocated(); len(l.GetHandle()) != 1 || len(l.GetPartCount()) != 0 || len(l.GetInvitation()) != 0 {
		t.Errorf("%v", resp)
	}
	if n := direct.Count(); n.Exposed+n.Invited+n.Conns+n.Flying != 0 {
		t.Errorf("%+v", n)
	}
	_ = hand.Close()
}
