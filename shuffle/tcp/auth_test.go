package tcp_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/proto"

	"weft/internal/metrics"
	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/auth"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

// guarded is a server that has one application, and a block of it.
type guarded struct {
	src     *transporttest.Source
	id      shuffle.BlockID
	server  *tcp.Server
	peer    shuffle.PeerAddr
	metrics *metrics.Set
	log     *lines
}

func guard(t testing.TB) *guarded {
	t.Helper()
	g := &guarded{src: transporttest.NewSource(t), metrics: metrics.NewSet(), log: &lines{}}
	g.src.Admit(anApp)
	ids, _ := g.src.Add(5000)
	g.id = ids[0]
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	opts := options(ownerID)
	opts.Log = slog.New(slog.NewTextHandler(g.log, nil))
	g.server = tcp.NewServer(l, opts, g.src, g.metrics)
	served := make(chan error, 1)
	go func() { served <- g.server.Serve() }()
	t.Cleanup(func() {
		_ = g.server.Close()
		<-served
	})
	g.peer = shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: g.server.Addr().Port(), DaemonID: ownerID}
	return g
}

func (g *guarded) greet(t testing.TB) *byHand {
	t.Helper()
	r, _ := greet(t, g.server.Addr().String(), hello(3, readerID))
	return r
}

// proofs checks what was counted.
func proofs(t *testing.T, m *metrics.Set, right, failed float64) {
	t.Helper()
	if r, f := testutil.ToFloat64(m.PeerProofs(metrics.OK)), testutil.ToFloat64(m.PeerProofs(metrics.Failed)); r != right || f != failed {
		t.Errorf("%v right and %v failed proofs are counted, want %v and %v", r, f, right, failed)
	}
}

// Whatever is no proof for this connection is refused, counted, and logged once; the connection is still of use for who has the secret.
func TestWrongProofs(t *testing.T) {
	for name, forge := range map[string]func(g *guarded, r *byHand, id uint64) []byte{
		"none":           func(*guarded, *byHand, uint64) []byte { return nil },
		"of other bytes": func(*guarded, *byHand, uint64) []byte { return make([]byte, auth.ProofLen) },
		"with another secret": func(_ *guarded, r *byHand, id uint64) []byte {
			return auth.Prove([32]byte{2}, auth.Dialler, r.binding, id, anApp.ID)
		},
		"recorded on another connection": func(g *guarded, r *byHand, id uint64) []byte {
			return auth.Prove(anApp.Token, auth.Dialler, g.greet(r.t.(*testing.T)).binding, id, anApp.ID) //nolint:forcetypeassert // a test
		},
		"for another request": func(_ *guarded, r *byHand, id uint64) []byte {
			return auth.Prove(anApp.Token, auth.Dialler, r.binding, id+1, anApp.ID)
		},
		"for another application": func(_ *guarded, r *byHand, id uint64) []byte {
			return auth.Prove(anApp.Token, auth.Dialler, r.binding, id, "other")
		},
		"of the other side": func(_ *guarded, r *byHand, id uint64) []byte {
			return auth.Prove(anApp.Token, auth.Listener, r.binding, id, anApp.ID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := guard(t)
			r := g.greet(t)
			for range 2 {
				id, _ := r.prove(anApp)
				m := r.ask(id, anApp.ID, forge(g, r, id))
				if m.GetReason() != uint32(shuffle.ReasonPeerRefused) || len(m.GetProof()) != 0 || !strings.Contains(m.GetError(), "does not prove") {
					t.Fatalf("%v, want a refusal", m)
				}
			}
			proofs(t, g.metrics, 0, 2)
			r.request(locateOf(r.open(anApp), g.id))
			if resp, _ := answer(t, r); resp.GetLocated() == nil || resp.GetLocated().GetReason() != nil {
				t.Errorf("%v for who has the secret", resp)
			}
			if all := g.log.all(); len(all) != 1 || !strings.Contains(all[0], "does not prove") || strings.Contains(all[0], "01 00 00") {
				t.Errorf("log: %q, want one line", all)
			}
		})
	}
}

// A request to open that is repeated, or comes late, ends the connection, though its proof be right.
func TestOpenOutOfOrder(t *testing.T) {
	for name, ids := range map[string][]uint64{"repeated": {5, 5}, "late": {5, 4}, "zero": {0}} {
		t.Run(name, func(t *testing.T) {
			g := guard(t)
			r := g.greet(t)
			for _, id := range ids {
				proof := auth.Prove(anApp.Token, auth.Dialler, r.binding, id, anApp.ID)
				r.request(&peerpb.Request{Kind: &peerpb.Request_Open{Open: &peerpb.Open{Id: id, AppId: anApp.ID, Proof: proof}}})
			}
			for range ids[1:] {
				answer(t, r)
			}
			if n, err := io.Copy(io.Discard, r); n != 0 || isTimeout(err) {
				t.Errorf("%d more bytes came (%v)", n, err)
			}
			proofs(t, g.metrics, float64(len(ids)-1), 1)
		})
	}
}

// An application that is not here is no secret; a reader learns that it has to look elsewhere.
func TestOpenGoneApplication(t *testing.T) {
	g := guard(t)
	c := dial(t, g.peer)
	var be *shuffle.BlockError
	if err := tcp.Open(c, shuffle.App{ID: transporttest.GoneApp}); !errors.As(err, &be) || be.Reason != shuffle.ReasonOwnerGone {
		t.Errorf("%v", err)
	}
	if err := tcp.Open(c, anApp); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// An application is opened once on each connection, however much is asked for; and, after it came back with another secret, with that.
func TestOpenedOnce(t *testing.T) {
	g := guard(t)
	m := metrics.NewSet()
	opts := options(readerID)
	opts.Metrics = m
	c := dialWith(t, opts, g.peer)
	locate := func(app shuffle.App) error {
		ended := make(chan error, 1)
		c.Locate(&shuffle.LocateRequest{App: app, Blocks: []shuffle.BlockID{g.id}, EagerBlock: 5000}, make([]byte, 5000), func(l []shuffle.Located, err error) {
			if err == nil && l[0].Err != nil {
				err = l[0].Err
			}
			ended <- err
		})
		return <-ended
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for range 5 {
				if err := locate(anApp); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	conns := float64(1 + options(readerID).Streams)
	proofs(t, g.metrics, conns, 0)
	proofs(t, m, conns, 0)
	again := shuffle.App{ID: anApp.ID, Token: [32]byte{9}}
	g.src.Admit(again)
	if err := locate(again); err != nil {
		t.Errorf("with the new secret: %v", err)
	}
	var be *shuffle.BlockError
	if err := locate(anApp); !errors.As(err, &be) || be.Reason != shuffle.ReasonPeerRefused {
		t.Errorf("with the old one: %v", err)
	}
}

// A connection that has served very many applications is ended, for a new one.
func TestTooManyApplications(t *testing.T) {
	g := guard(t)
	r := g.greet(t)
	app := shuffle.App{}
	for i := range tcp.MaxApps {
		app.ID = "app-" + string(rune(0x4e00+i))
		r.open(app)
	}
	app.ID = "one more"
	id, proof := r.prove(app)
	r.request(&peerpb.Request{Kind: &peerpb.Request_Open{Open: &peerpb.Open{Id: id, AppId: app.ID, Proof: proof}}})
	if n, err := io.Copy(io.Discard, r); n != 0 || isTimeout(err) {
		t.Errorf("%d more bytes came (%v)", n, err)
	}
}

// Who only pretends to be the owner hears no block's name, and the reader ends the connection.
func TestImpostorHearsNothing(t *testing.T) {
	for name, prove := range map[string]func(b auth.Binding, m *peerpb.Open) []byte{
		"none":         func(auth.Binding, *peerpb.Open) []byte { return nil },
		"the reader's": func(_ auth.Binding, m *peerpb.Open) []byte { return m.GetProof() },
		"another secret": func(b auth.Binding, m *peerpb.Open) []byte {
			return auth.Prove([32]byte{2}, auth.Listener, b, m.GetId(), m.GetAppId())
		},
		"an older one": func(_ auth.Binding, m *peerpb.Open) []byte {
			return auth.Prove(anApp.Token, auth.Listener, auth.Binding{}, m.GetId(), m.GetAppId())
		},
	} {
		t.Run(name, func(t *testing.T) {
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
					served.Go(func() { pretend(t, sock, prove) })
				}
			})
			m := metrics.NewSet()
			opts := options(readerID)
			opts.Metrics = m
			c := dialWith(t, opts, shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: uint16(l.Addr().(*net.TCPAddr).Port), DaemonID: ownerID})
			ended := make(chan error, 1)
			c.Locate(&shuffle.LocateRequest{App: anApp, Blocks: []shuffle.BlockID{transporttest.ID(0)}}, nil, func(_ []shuffle.Located, err error) { ended <- err })
			var be *shuffle.BlockError
			if err := <-ended; !errors.As(err, &be) || be.Reason != shuffle.ReasonPeerRefused || !strings.Contains(be.Detail, "does not prove") {
				t.Errorf("%v, want that who answers does not prove it", err)
			}
			<-c.Closed()
			_ = l.Close()
			served.Wait()
			if n := testutil.ToFloat64(m.PeerProofs(metrics.Failed)); n == 0 || testutil.ToFloat64(m.PeerProofs(metrics.OK)) != 0 {
				t.Errorf("%v failed proofs are counted", n)
			}
		})
	}
}

// pretend serves one connection, and fails the test when it is asked for a block.
func pretend(t *testing.T, sock net.Conn, prove func(auth.Binding, *peerpb.Open) []byte) {
	defer func() { _ = sock.Close() }()
	greeting := responseHello(t, 3, ownerID)
	var binding auth.Binding
	for {
		msg, _, err := readMessage(sock)
		req := new(peerpb.Request)
		if err != nil || proto.Unmarshal(msg, req) != nil {
			return
		}
		switch m := req.GetOpen(); {
		case req.GetHello() != nil:
			binding = auth.Bind(msg, greeting[8:])
			_, _ = sock.Write(greeting)
		case m != nil:
			opened := &peerpb.Opened{Id: m.GetId(), Proof: prove(binding, m)}
			_, _ = sock.Write(frame(t, &peerpb.Response{Kind: &peerpb.Response_Opened{Opened: opened}}, 0))
		default:
			t.Errorf("an impostor was asked %v", req)
		}
	}
}

// Somebody on the way who changes a hello, so that the two sides agree on less than they could, is noticed by the first proof; who only
// listens hears no secret.
func TestManInTheMiddle(t *testing.T) {
	change := func(h *peerpb.Hello) { h.Features ^= 1 }
	for name, tt := range map[string]struct {
		request, response func(*peerpb.Hello)
		refused           bool
	}{
		"listens":                    {nil, nil, false},
		"changes the reader's hello": {change, nil, true},
		"changes the owner's hello":  {nil, change, true},
		"has a nonce of its own":     {func(h *peerpb.Hello) { h.Nonce[0] ^= 1 }, nil, true},
		"changes a word":             {nil, func(h *peerpb.Hello) { h.SoftwareVersion = "0" }, true},
		"leaves the group out":       {func(h *peerpb.Hello) { h.Group = nil }, nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := guard(t)
			var heard lines
			peer := g.peer
			peer.Port = middle(t, g.server.Addr().String(), &heard, tt.request, tt.response)
			err := tcp.Open(dial(t, peer), anApp)
			var be *shuffle.BlockError
			if refused := errors.As(err, &be) && be.Reason == shuffle.ReasonPeerRefused; refused != tt.refused || (err != nil) != tt.refused {
				t.Errorf("%v, want a refusal: %v", err, tt.refused)
			}
			heard.mu.Lock()
			defer heard.mu.Unlock()
			if !bytes.Contains(heard.text.Bytes(), []byte(anApp.ID)) || bytes.Contains(heard.text.Bytes(), anApp.Token[:]) {
				t.Errorf("of %d bytes that were heard: the application's id %v, its secret %v", heard.text.Len(),
					bytes.Contains(heard.text.Bytes(), []byte(anApp.ID)), bytes.Contains(heard.text.Bytes(), anApp.Token[:]))
			}
		})
	}
}

// middle passes everything on between readers and the server, but for hellos, which may be changed.
func middle(t *testing.T, to string, heard io.Writer, request, response func(*peerpb.Hello)) uint16 {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var served sync.WaitGroup
	pass := func(from, to net.Conn, m proto.Message, get func() *peerpb.Hello, change func(*peerpb.Hello)) {
		defer func() { _ = to.Close() }()
		if _, err := readFrame(from, m); err != nil {
			return
		}
		if change != nil {
			change(get())
		}
		if _, err := to.Write(frame(t, m, 0)); err == nil {
			_, _ = io.Copy(io.MultiWriter(to, heard), from)
		}
	}
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
			req, resp := new(peerpb.Request), new(peerpb.Response)
			served.Go(func() { pass(reader, owner, req, req.GetHello, request) })
			served.Go(func() { pass(owner, reader, resp, resp.GetHello, response) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		served.Wait()
	})
	return uint16(l.Addr().(*net.TCPAddr).Port)
}
