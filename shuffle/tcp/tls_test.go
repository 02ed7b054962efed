package tcp_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/proto"

	"weft/internal/metrics"
	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/auth"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

// secretApp is an application whose blocks have to be encrypted.
var secretApp = shuffle.App{ID: "secret-app", Token: [32]byte{3}, Encrypted: true}

// guardSecret is a server that has that application, too.
func guardSecret(t *testing.T) *guarded {
	g := guard(t)
	g.src.Admit(secretApp)
	return g
}

// dialTLS connects under TLS, and counts in m.
func dialTLS(t testing.TB, peer shuffle.PeerAddr, m *metrics.Set) shuffle.Conn {
	t.Helper()
	opts := options(readerID)
	opts.Metrics = m
	return dialBy(t, tcp.NewTLS(opts), peer)
}

// clientTLS is what a dialler needs to know, which is nothing. What is written at once is one record, as far as it fits.
func clientTLS() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, DynamicRecordSizingDisabled: true} //nolint:gosec // as docs/design/0011-tls.md explains
}

// serverTLS is that of a listener with a certificate of its own, made as a daemon makes it.
func serverTLS(t testing.TB) *tls.Config {
	t.Helper()
	cert, err := tcp.NewCertificate()
	if err != nil {
		t.Fatal(err)
	}
	return &tls.Config{Certificates: []tls.Certificate{*cert}} //nolint:gosec // the version is what is tested
}

// greetTLS is greet under TLS.
func greetTLS(t testing.TB, addr string) *byHand {
	t.Helper()
	sock, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sock.Close() })
	_ = sock.SetDeadline(time.Now().Add(2 * time.Minute))
	sealed := tls.Client(sock, clientTLS())
	if err := sealed.Handshake(); err != nil {
		t.Fatal(err)
	}
	r := &byHand{Conn: sealed, t: t}
	sent := requestHello(t, 3)
	r.send(sent)
	msg, _, err := readMessage(r)
	if err != nil {
		t.Fatal(err)
	}
	resp := new(peerpb.Response)
	if err := proto.Unmarshal(msg, resp); err != nil || resp.GetHello() == nil {
		t.Fatalf("%v (%v), want a hello", resp, err)
	}
	r.binding = auth.BindTLS(exported(t, sealed), sent[8:], msg)
	return r
}

func exported(t testing.TB, c *tls.Conn) []byte {
	t.Helper()
	state := c.ConnectionState()
	e, err := state.ExportKeyingMaterial(auth.ExporterLabel, nil, auth.ExportedLen)
	if err != nil {
		t.Error(err)
	}
	return e
}

func wantRefused(t *testing.T, err error, reason shuffle.Reason, detail string) {
	t.Helper()
	var be *shuffle.BlockError
	if !errors.As(err, &be) || be.Reason != reason || !strings.Contains(be.Detail, detail) {
		t.Errorf("%v, want %v and %q in it", err, reason, detail)
	}
}

// The proof of a connection under TLS is one for that TLS connection: what the hellos alone would prove, as without TLS, opens nothing.
func TestProofOverTLS(t *testing.T) {
	g := guardSecret(t)
	r := greetTLS(t, g.server.Addr().String())
	r.open(secretApp)
	other := greetTLS(t, g.server.Addr().String())
	id, proof := r.prove(secretApp) // a right one of another connection
	if m := other.ask(id, secretApp.ID, proof); m.GetReason() != uint32(shuffle.ReasonPeerRefused) {
		t.Errorf("%v with another connection's proof", m)
	}
	if m := other.ask(id+1, secretApp.ID, auth.Prove([32]byte{9}, auth.Dialler, other.binding, id+1, secretApp.ID)); m.GetReason() != uint32(shuffle.ReasonPeerRefused) {
		t.Errorf("%v with another secret", m)
	}
	other.last = id + 1
	other.open(secretApp)
	proofs(t, g.metrics, 2, 2)
}

// Who has another secret is refused over TLS as without it; who has the right one is served an application that need not be encrypted, too.
func TestWrongSecretOverTLS(t *testing.T) {
	g := guardSecret(t)
	m := metrics.NewSet()
	c := dialTLS(t, g.peer, m)
	wrong := secretApp
	wrong.Token[0]++
	wantRefused(t, tcp.Open(c, wrong), shuffle.ReasonPeerRefused, "does not prove")
	conns := float64(1 + options(readerID).Streams)
	proofs(t, g.metrics, 0, conns)
	for _, app := range []shuffle.App{secretApp, anApp} {
		if err := tcp.Open(c, app); err != nil {
			t.Errorf("with the right secret: %v", err)
		}
	}
	proofs(t, m, 2*conns, 0)
}

// Who answers under TLS without the secret hears no block's name: also one who sends a proof for the hellos alone, or the reader's own.
func TestImpostorOverTLSHearsNothing(t *testing.T) {
	for name, prove := range map[string]func(b auth.Binding, m *peerpb.Open) []byte{
		"none":         func(auth.Binding, *peerpb.Open) []byte { return nil },
		"the reader's": func(_ auth.Binding, m *peerpb.Open) []byte { return m.GetProof() },
		"for the hellos": func(b auth.Binding, m *peerpb.Open) []byte {
			return auth.Prove(secretApp.Token, auth.Listener, b, m.GetId(), m.GetAppId())
		},
	} {
		t.Run(name, func(t *testing.T) {
			port := listenTLS(t, serverTLS(t), func(sock net.Conn) { pretend(t, sock, prove) })
			m := metrics.NewSet()
			c := dialTLS(t, shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: port, DaemonID: ownerID}, m)
			wantRefused(t, tcp.Open(c, secretApp), shuffle.ReasonPeerRefused, "does not prove")
			<-c.Closed()
			if testutil.ToFloat64(m.PeerProofs(metrics.Failed)) == 0 {
				t.Error("no failed proof is counted")
			}
		})
	}
}

// listenTLS serves each TLS connection by a goroutine, and returns the port.
func listenTLS(t *testing.T, config *tls.Config, serve func(net.Conn)) uint16 {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			sock, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { serve(sock) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		served.Wait()
	})
	return uint16(l.Addr().(*net.TCPAddr).Port) //nolint:forcetypeassert // a TCP listener
}

// Who ends TLS towards both sides and passes on what they say, with certificates of his own, is noticed by the first proof: by the owner's daemon, and by a
// reader's that is told it was right.
func TestManInTheMiddleOfTLS(t *testing.T) {
	g := guardSecret(t)
	config := serverTLS(t)
	var heard lines
	port := listenTLS(t, config, func(reader net.Conn) {
		owner, err := tls.Dial("tcp", g.server.Addr().String(), clientTLS())
		if err != nil {
			_ = reader.Close()
			return
		}
		var both sync.WaitGroup
		pass := func(from, to net.Conn) {
			_, _ = io.Copy(io.MultiWriter(to, &heard), from)
			_, _ = from.Close(), to.Close()
		}
		both.Go(func() { pass(reader, owner) })
		both.Go(func() { pass(owner, reader) })
		both.Wait()
	})
	peer := g.peer
	peer.Port = port
	m := metrics.NewSet()
	c := dialTLS(t, peer, m) // the hellos go through
	wantRefused(t, tcp.Open(c, secretApp), shuffle.ReasonPeerRefused, "does not prove")
	proofs(t, g.metrics, 0, float64(1+options(readerID).Streams))
	_ = c.Close()
	heard.mu.Lock()
	defer heard.mu.Unlock()
	if !bytes.Contains(heard.text.Bytes(), []byte(secretApp.ID)) || bytes.Contains(heard.text.Bytes(), secretApp.Token[:]) {
		t.Error("it stood in the middle and heard no application's id, or a secret")
	}
}

// The reader does not so much as name an application over a connection without TLS that has to be encrypted.
func TestReaderDoesNotOpenWithoutTLS(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			sock, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() {
				defer func() { _ = sock.Close() }()
				peer := listening{t: t, sock: sock, greeting: responseHello(t, 3, ownerID)}
				for req := new(peerpb.Request); req != nil; {
					msg, _, err := readMessage(sock)
					req = new(peerpb.Request)
					if err != nil || proto.Unmarshal(msg, req) != nil {
						return
					}
					if req.GetHello() == nil {
						t.Errorf("the reader says %v", req)
					}
					_, _ = sock.Write(peer.greeting)
				}
			})
		}
	})
	c := dial(t, shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: uint16(l.Addr().(*net.TCPAddr).Port), DaemonID: ownerID})
	ended := make(chan error, 1)
	c.Locate(&shuffle.LocateRequest{App: secretApp, Blocks: []shuffle.BlockID{transporttest.ID(0)}}, nil, func(_ []shuffle.Located, err error) { ended <- err })
	wantRefused(t, <-ended, shuffle.ReasonEncrypted, "without TLS")
	_ = c.Close()
	_ = l.Close()
	served.Wait()
}

// The owner does not open it there either, however right the proof; nor does it say a proof of its own. Others on the connection are served.
func TestOwnerDoesNotOpenWithoutTLS(t *testing.T) {
	g := guardSecret(t)
	r := g.greet(t)
	for range 2 {
		id, proof := r.prove(secretApp)
		m := r.ask(id, secretApp.ID, proof)
		if m.GetReason() != uint32(shuffle.ReasonEncrypted) || len(m.GetProof()) != 0 || !strings.Contains(m.GetError(), "TLS alone") {
			t.Fatalf("%v, want a refusal", m)
		}
	}
	r.open(anApp)
	proofs(t, g.metrics, 1, 2)
	if all := g.log.all(); len(all) != 1 || !strings.Contains(all[0], "TLS alone") {
		t.Errorf("log: %q, want one line", all)
	}
	// A reader's daemon that is not told it has to be encrypted hears so, and its blocks have a reason.
	plain := secretApp
	plain.Encrypted = false
	wantRefused(t, tcp.Open(dial(t, g.peer), plain), shuffle.ReasonEncrypted, "TLS alone")
}

// A group's name that a connection without TLS overheard, or chose, leads to no handle of one under TLS.
func TestGroupsAreOfOneKind(t *testing.T) {
	g := guardSecret(t)
	r := greetTLS(t, g.server.Addr().String())
	r.request(locateOf(r.open(secretApp), g.id))
	located, _ := answer(t, r)
	handle := located.GetLocated().GetHandle()
	if len(handle) != 1 || handle[0] == 0 {
		t.Fatalf("%v, want a handle", located)
	}
	plain := g.greet(t)
	plain.open(anApp)
	plain.request(&peerpb.Request{Kind: &peerpb.Request_Read{Read: &peerpb.Read{Id: 2, Handle: handle, Offset: []uint64{0}, Length: []uint64{10}}}})
	if resp, n := answer(t, plain); n != 0 || resp.GetData().GetReason() != uint32(shuffle.ReasonPeerRefused) {
		t.Errorf("%v with %d bytes", resp, n)
	}
}

// TLS before 1.3 exports keying material that does not stand for the whole handshake, so neither side speaks it.
func TestOldTLS(t *testing.T) {
	g := guardSecret(t)
	old := clientTLS()
	old.MaxVersion = tls.VersionTLS12
	if _, err := tls.Dial("tcp", g.server.Addr().String(), old); err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("%v for a dialler with TLS 1.2", err)
	}
	config := serverTLS(t)
	config.MaxVersion = tls.VersionTLS12
	port := listenTLS(t, config, func(sock net.Conn) {
		_, _ = io.Copy(io.Discard, sock)
		_ = sock.Close()
	})
	_, err := tcp.NewTLS(options(readerID)).Dial(t.Context(), shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: port, DaemonID: ownerID})
	if err == nil || !strings.Contains(err.Error(), "protocol version") {
		t.Errorf("%v for a listener with TLS 1.2", err)
	}
}

// A session is never resumed: each connection has a key exchange of its own.
func TestNoResumption(t *testing.T) {
	g := guardSecret(t)
	config := clientTLS()
	config.ClientSessionCache = tls.NewLRUClientSessionCache(4)
	for range 2 {
		sock, err := tls.Dial("tcp", g.server.Addr().String(), config)
		if err != nil {
			t.Fatal(err)
		}
		_ = sock.SetDeadline(time.Now().Add(2 * time.Minute))
		if _, err := sock.Write(requestHello(t, 3)); err != nil {
			t.Fatal(err)
		}
		answer(t, sock) // a ticket would have come before
		if sock.ConnectionState().DidResume {
			t.Error("the session was resumed")
		}
		_ = sock.Close()
	}
}

// A daemon that knows no TLS ends a connection that begins with a message as long as a handshake's first bytes say. That is an address where nobody
// answers.
func TestNoTLSThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if sock, err := l.Accept(); err == nil {
			_, _ = io.ReadFull(sock, make([]byte, 8))
			_ = sock.Close()
		}
	}()
	_, err = tcp.NewTLS(options(readerID)).Dial(t.Context(), shuffle.PeerAddr{
		Hosts: []string{"127.0.0.1"}, Port: uint16(l.Addr().(*net.TCPAddr).Port), DaemonID: ownerID, //nolint:forcetypeassert // a TCP listener
	})
	_ = l.Close()
	<-served
	var be *shuffle.BlockError
	if err == nil || errors.As(err, &be) || !strings.Contains(err.Error(), "install the same version of weft") {
		t.Errorf("%v", err)
	}
}
