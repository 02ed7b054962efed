package tcp_test

import (
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"weft/internal/pb/blockpb"
	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/auth"
	"weft/shuffle/tcp"
)

// byHand is one end of a connection between daemons, by hand.
type byHand struct {
	net.Conn
	t       testing.TB
	binding auth.Binding
	last    uint64 // id of the last Open
}

// way is one to a server: without TLS, or with.
type way struct {
	name      string
	transport func(tcp.Options) *tcp.Transport
	greet     func(testing.TB, string) *byHand
}

var ways = []way{
	{tcp.Name, tcp.New, func(t testing.TB, addr string) *byHand {
		t.Helper()
		r, _ := greet(t, addr, hello(3, readerID))
		return r
	}},
	{tcp.NameTLS, tcp.NewTLS, greetTLS},
}

// eachWay runs a test on each.
func eachWay(t *testing.T, test func(t *testing.T, w way)) {
	for _, w := range ways {
		t.Run(w.name, func(t *testing.T) { test(t, w) })
	}
}

// greet connects to a server and exchanges hellos.
func greet(t testing.TB, addr string, h *peerpb.Hello) (*byHand, *peerpb.Hello) {
	t.Helper()
	sock, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sock.Close() })
	_ = sock.SetDeadline(time.Now().Add(2 * time.Minute))
	r := &byHand{Conn: sock, t: t}
	sent := frame(t, &peerpb.Request{Kind: &peerpb.Request_Hello{Hello: h}}, 0)
	r.send(sent)
	msg, _, err := readMessage(sock)
	if err != nil {
		t.Fatal(err)
	}
	resp := new(peerpb.Response)
	if err := proto.Unmarshal(msg, resp); err != nil || resp.GetHello() == nil {
		t.Fatalf("%v (%v), want a hello", resp, err)
	}
	r.binding = auth.Bind(sent[8:], msg)
	return r, resp.GetHello()
}

func (r *byHand) send(b []byte) {
	r.t.Helper()
	if _, err := r.Write(b); err != nil {
		r.t.Fatal(err)
	}
}

func (r *byHand) request(m *peerpb.Request) {
	r.t.Helper()
	r.send(frame(r.t, m, 0))
}

// ask opens an application with this proof and returns the answer.
func (r *byHand) ask(id uint64, app string, proof []byte) *peerpb.Opened {
	r.t.Helper()
	r.request(&peerpb.Request{Kind: &peerpb.Request_Open{Open: &peerpb.Open{Id: id, AppId: app, Proof: proof}}})
	resp, _ := answer(r.t, r)
	if resp.GetOpened() == nil || resp.GetOpened().GetId() != id {
		r.t.Fatalf("%v, want the answer to Open %d", resp, id)
	}
	return resp.GetOpened()
}

// prove is the dialler's proof for the next request.
func (r *byHand) prove(app shuffle.App) (id uint64, proof []byte) {
	r.last++
	return r.last, auth.Prove(app.Token, auth.Dialler, r.binding, r.last, app.ID)
}

// open opens an application as it ought to be, and returns its name for locateOf.
func (r *byHand) open(app shuffle.App) uint64 {
	r.t.Helper()
	id, proof := r.prove(app)
	m := r.ask(id, app.ID, proof)
	if m.GetReason() != 0 || !auth.Check(m.GetProof(), app.Token, auth.Listener, r.binding, id, app.ID) {
		r.t.Fatalf("%v, want a proof", m)
	}
	return id
}

// locateOf asks for a shuffle block of the application that was opened so.
func locateOf(open uint64, id shuffle.BlockID) *peerpb.Request {
	return &peerpb.Request{Kind: &peerpb.Request_Locate{Locate: &peerpb.Locate{Id: 1, Open: open, Blocks: &blockpb.Blocks{
		ShuffleId: []uint32{id.Shuffle}, MapId: []uint64{id.Map}, ReduceStart: []uint32{id.ReduceStart}, ReduceEnd: []uint32{id.ReduceEnd},
	}}}}
}

// readMessage reads the header and the message of a frame.
func readMessage(sock io.Reader) (msg []byte, payload int, err error) {
	header := make([]byte, 8)
	if _, err := io.ReadFull(sock, header); err != nil {
		return nil, 0, err
	}
	msg = make([]byte, binary.BigEndian.Uint32(header))
	_, err = io.ReadFull(sock, msg)
	return msg, int(binary.BigEndian.Uint32(header[4:])), err
}

// readFrame reads and parses it.
func readFrame(sock io.Reader, m proto.Message) (payload int, err error) {
	msg, payload, err := readMessage(sock)
	if err != nil {
		return 0, err
	}
	return payload, proto.Unmarshal(msg, m)
}

// answer reads an answer, without the payload.
func answer(t testing.TB, sock io.Reader) (*peerpb.Response, int) {
	t.Helper()
	resp := new(peerpb.Response)
	payload, err := readFrame(sock, resp)
	if err != nil {
		t.Fatal(err)
	}
	return resp, payload
}

// tokenOf is the token of a test's application: that of anApp, or zeros.
func tokenOf(app string) (token [32]byte) {
	if app == anApp.ID {
		token = anApp.Token
	}
	return token
}

// listening is a server's end of a connection, by hand: it has the greeting for a hello, and opens every application of tokenOf.
type listening struct {
	t        testing.TB
	sock     net.Conn
	greeting []byte // a frame
	binding  auth.Binding
}

// next is the next request that is neither; nil at the end of the connection.
func (l *listening) next() *peerpb.Request {
	for {
		msg, _, err := readMessage(l.sock)
		req := new(peerpb.Request)
		if err != nil || proto.Unmarshal(msg, req) != nil {
			return nil
		}
		var resp []byte
		switch m := req.GetOpen(); {
		case req.GetHello() != nil:
			l.binding = auth.Bind(msg, l.greeting[8:])
			resp = l.greeting
		case m != nil:
			proof := auth.Prove(tokenOf(m.GetAppId()), auth.Listener, l.binding, m.GetId(), m.GetAppId())
			resp = frame(l.t, &peerpb.Response{Kind: &peerpb.Response_Opened{Opened: &peerpb.Opened{Id: m.GetId(), Proof: proof}}}, 0)
		default:
			return req
		}
		if _, err := l.sock.Write(resp); err != nil {
			return nil
		}
	}
}
