package tcp_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"weft/internal/metrics"
	"weft/internal/pb/blockpb"
	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/auth"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

func frame(t testing.TB, m proto.Message, payload int) []byte {
	t.Helper()
	msg, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	b := binary.BigEndian.AppendUint32(nil, uint32(len(msg)))
	return append(binary.BigEndian.AppendUint32(b, uint32(payload)), msg...)
}

func hello(version uint32, id [16]byte) *peerpb.Hello {
	return &peerpb.Hello{Version: version, DaemonId: id[:], Nonce: bytes.Repeat([]byte{7}, auth.NonceLen)}
}

func requestHello(t testing.TB, version uint32) []byte {
	return frame(t, &peerpb.Request{Kind: &peerpb.Request_Hello{Hello: hello(version, readerID)}}, 0)
}

// lines is a log that counts its lines.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}

func (l *lines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Split(strings.TrimSpace(l.text.String()), "\n")
}

// Messages that are too long for a stranger are none for who has proved to have the application's secret.
func TestLongRequestAfterTheProof(t *testing.T) {
	src := transporttest.NewSource(t)
	_, peer := listen(t, src, "tcp", "127.0.0.1")
	c := dial(t, peer)
	ids := make([]shuffle.BlockID, 50_000) // 2 bytes at least for each of four numbers
	for i := range ids {
		ids[i] = transporttest.ID(1000 + i)
		ids[i].Shuffle, ids[i].ReduceStart, ids[i].ReduceEnd = 1000, 1000, 1001
	}
	located := make(chan []shuffle.Located, 1)
	c.Locate(&shuffle.LocateRequest{Blocks: ids}, nil, func(l []shuffle.Located, err error) {
		if err != nil {
			t.Error(err)
		}
		located <- l
	})
	l := <-located
	if len(l) != len(ids) || l[len(l)-1].Err == nil || l[len(l)-1].Err.Reason != shuffle.ReasonNotFound {
		t.Errorf("%d of %d blocks were answered", len(l), len(ids))
	}
}

// What is no request ends the connection it comes over, with one line in the log, and no other.
func TestServerRefusesStrangers(t *testing.T) {
	locate := func(change func(*peerpb.Locate)) []byte {
		l := &peerpb.Locate{Id: 1, Blocks: &blockpb.Blocks{}}
		change(l)
		return frame(t, &peerpb.Request{Kind: &peerpb.Request_Locate{Locate: l}}, 0)
	}
	random := make([]byte, 4096)
	rng := rand.New(rand.NewPCG(7, 8)) //nolint:gosec // a test
	for i := range random {
		random[i] = byte(rng.Uint32())
	}
	good := requestHello(t, 3)
	for name, sent := range map[string][]byte{
		"random":                   random,
		"http":                     []byte("GET / HTTP/1.1\r\nHost: weft\r\n\r\n"),
		"another version":          requestHello(t, 2),
		"a short group name":       frame(t, &peerpb.Request{Kind: &peerpb.Request_Hello{Hello: &peerpb.Hello{Version: 3, Nonce: make([]byte, 32), Group: []byte("short")}}}, 0),
		"no nonce":                 frame(t, &peerpb.Request{Kind: &peerpb.Request_Hello{Hello: &peerpb.Hello{Version: 3}}}, 0),
		"no hello":                 locate(func(*peerpb.Locate) {}),
		"random after hello":       append(bytes.Clone(good), random...),
		"oversized":                append(bytes.Clone(good), 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0),
		"long, before any proof":   append(bytes.Clone(good), 0, 1, 0, 1, 0, 0, 0, 0),
		"payload":                  append(bytes.Clone(good), frame(t, &peerpb.Request{Kind: &peerpb.Request_Ping{Ping: &peerpb.Ping{}}}, 5)...),
		"empty message":            append(bytes.Clone(good), 0, 0, 0, 0, 0, 0, 0, 0),
		"hello again":              append(bytes.Clone(good), good...),
		"nothing was opened":       append(bytes.Clone(good), locate(func(*peerpb.Locate) {})...),
		"arrays of unequal length": append(bytes.Clone(good), locate(func(l *peerpb.Locate) { l.Blocks.MapId = []uint64{1} })...),
		"read of unequal length":   append(bytes.Clone(good), frame(t, &peerpb.Request{Kind: &peerpb.Request_Read{Read: &peerpb.Read{Handle: []uint64{1}}}}, 0)...),
	} {
		t.Run(name, func(t *testing.T) {
			src := transporttest.NewSource(t)
			ids, data := src.Add(100, 5000)
			log := &lines{}
			l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				t.Fatal(err)
			}
			opts := options(ownerID)
			opts.Log = slog.New(slog.NewTextHandler(log, nil))
			s := tcp.NewServer(l, opts, src, metrics.NewSet())
			served := make(chan error, 1)
			go func() { served <- s.Serve() }()
			defer func() {
				_ = s.Close()
				<-served
			}()
			peer := shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: s.Addr().Port(), DaemonID: ownerID}
			other := dial(t, peer)

			sock, err := net.Dial("tcp", s.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = sock.Close() }()
			_ = sock.SetDeadline(time.Now().Add(2 * time.Minute))
			if _, err := sock.Write(sent); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(io.Discard, sock); errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
				t.Fatal("the connection was not ended")
			}
			ended := make(chan []shuffle.Located, 1)
			eager := make([]byte, 1000)
			other.Locate(&shuffle.LocateRequest{Blocks: ids, EagerBlock: 1000}, eager, func(l []shuffle.Located, err error) {
				if err != nil {
					t.Error(err)
				}
				ended <- l
			})
			if got := <-ended; len(got) != 2 || !bytes.Equal(eager[:100], data[0]) {
				t.Errorf("another peer's connection: %+v", got)
			}
			_ = s.Close() // the connection's end is logged then
			if got := log.all(); len(got) != 1 || !strings.Contains(got[0], "level=WARN") {
				t.Errorf("log: %q, want one warning", got)
			}
		})
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// impostor listens, and greets each connection with the first of the given frames and answers its requests with the others.
func impostor(t *testing.T, answer ...[]byte) shuffle.PeerAddr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			sock, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer func() { _ = sock.Close() }()
				if len(answer) > 0 {
					peer := listening{t: t, sock: sock, greeting: answer[0]}
					for _, a := range answer[1:] { // one answer to each request
						if peer.next() == nil {
							return
						}
						if _, err := sock.Write(a); err != nil {
							return
						}
					}
					for peer.next() != nil {
					}
				}
				_, _ = io.Copy(io.Discard, sock)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
	return shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: uint16(l.Addr().(*net.TCPAddr).Port), DaemonID: ownerID}
}

func responseHello(t testing.TB, version uint32, id [16]byte) []byte {
	return frame(t, &peerpb.Response{Kind: &peerpb.Response_Hello{Hello: hello(version, id)}}, 0)
}

func TestDialRefusesStrangers(t *testing.T) {
	for name, tt := range map[string]struct {
		answer []byte
		want   string
	}{
		"another daemon":  {responseHello(t, 3, [16]byte{9}), "another daemon"},
		"another version": {responseHello(t, 2, ownerID), "version 2"},
		"refused":         {frame(t, &peerpb.Response{Kind: &peerpb.Response_Refused{Refused: &peerpb.Refused{Detail: "go away"}}}, 0), "go away"},
		"http":            {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "at most"},
		"garbage":         {append([]byte{0, 0, 0, 4, 0, 0, 0, 0}, 0xff, 0xff, 0xff, 0xff), "no weft daemon"},
		"pong":            {frame(t, &peerpb.Response{Kind: &peerpb.Response_Pong{Pong: &peerpb.Ping{}}}, 0), "no weft daemon"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tcp.New(options(readerID)).Dial(t.Context(), impostor(t, tt.answer))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q in it", err, tt.want)
			}
			var be *shuffle.BlockError
			if refused := name == "refused" || name == "another version"; refused != errors.As(err, &be) {
				t.Errorf("%v: is it a BlockError? want %v", err, refused)
			}
		})
	}
	t.Run("silent", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := tcp.New(options(readerID)).Dial(ctx, impostor(t)); err == nil {
			t.Error("connected")
		}
	})
	t.Run("no address", func(t *testing.T) {
		if _, err := tcp.New(options(readerID)).Dial(t.Context(), shuffle.PeerAddr{DaemonID: ownerID}); err == nil {
			t.Error("connected")
		}
	})
}

// Of several addresses the one counts at which the daemon that is meant answers.
func TestDialTriesAllHosts(t *testing.T) {
	src := transporttest.NewSource(t)
	_, peer := listen(t, src, "tcp", "127.0.0.1")
	peer.Hosts = []string{"127.0.0.2", "no-such-host.invalid", "127.0.0.1"} // nothing listens at the first
	if err := dial(t, peer).Close(); err != nil {
		t.Error(err)
	}
}

// An answer that does not fit what was asked ends the connection; what is outstanding fails, and no memory is written past its end.
func TestConnRefusesWrongAnswers(t *testing.T) {
	located := func(payload int, l *peerpb.Located) []byte {
		return append(frame(t, &peerpb.Response{Kind: &peerpb.Response_Located{Located: l}}, payload), make([]byte, payload)...)
	}
	for name, answer := range map[string][]byte{
		"another id":        located(0, &peerpb.Located{Id: 3, Length: []uint64{0}, Handle: []uint64{0}}),
		"too few":           located(0, &peerpb.Located{Id: 2}),
		"too many":          located(0, &peerpb.Located{Id: 2, Length: []uint64{0, 0}, Handle: []uint64{0, 0}}),
		"more than asked":   located(200, &peerpb.Located{Id: 2, Length: []uint64{200}, Handle: []uint64{0}}),
		"more than said":    located(60, &peerpb.Located{Id: 2, Length: []uint64{50}, Handle: []uint64{0}}),
		"less than said":    located(10, &peerpb.Located{Id: 2, Length: []uint64{50}, Handle: []uint64{0}}),
		"a negative length": located(0, &peerpb.Located{Id: 2, Length: []uint64{1 << 63}, Handle: []uint64{1}}),
		"data":              frame(t, &peerpb.Response{Kind: &peerpb.Response_Data{Data: &peerpb.Data{Id: 2}}}, 0),
		"a payload on pong": append(frame(t, &peerpb.Response{Kind: &peerpb.Response_Pong{Pong: &peerpb.Ping{}}}, 4), 1, 2, 3, 4),
		"a request":         frame(t, &peerpb.Request{Kind: &peerpb.Request_Ping{Ping: &peerpb.Ping{}}}, 0)[:9],
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, impostor(t, responseHello(t, 3, ownerID), answer))
			mem := bytes.Repeat([]byte{0xdb}, 300)
			ended := make(chan error, 1)
			c.Locate(&shuffle.LocateRequest{Blocks: []shuffle.BlockID{transporttest.ID(0)}, EagerBlock: 1000}, mem[100:200:200],
				func(_ []shuffle.Located, err error) { ended <- err })
			if name == "a request" {
				_ = c.Close() // a torn frame: the peer says nothing more
			}
			err := <-ended
			var be *shuffle.BlockError
			if err == nil || errors.As(err, &be) {
				t.Errorf("%v, want that the connection ended", err)
			}
			<-c.Closed()
			if bytes.Count(append(mem[:100:100], mem[200:]...), []byte{0xdb}) != 200 {
				t.Error("memory beside the eager memory was written to")
			}
		})
	}
}

// A peer that hangs is lost after weft.peer.timeout; one that only has nothing to say is not.
func TestSilentPeer(t *testing.T) {
	opts := options(readerID)
	opts.PeerTimeout = 400 * time.Millisecond
	src := transporttest.NewSource(t)
	_, peer := listen(t, src, "tcp", "127.0.0.1")
	alive, err := tcp.New(opts).Dial(t.Context(), peer)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = alive.Close() }()
	hung, err := tcp.New(opts).Dial(t.Context(), impostor(t, responseHello(t, 3, ownerID)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = hung.Close() }()
	ended := make(chan error, 1)
	hung.Read([]shuffle.ReadRequest{{
		Ranges: []shuffle.Range{{Handle: 1, Length: 10}}, Dst: make([]byte, 10), Done: func(err error) { ended <- err },
	}})
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "silent") {
		t.Errorf("%v, want that the peer was silent", err)
	}
	<-hung.Closed()
	select {
	case <-alive.Closed():
		t.Error("an idle peer that answers pings was given up")
	default:
	}
}

// A payload that comes with pauses is received to its end, and so is the small one behind it. Where the peer ends in the middle of one, the
// reader learns that.
func TestPausesInPayload(t *testing.T) {
	const size = 3 << 20
	want := transporttest.Bytes(1, size)
	head := func(id uint64, n int) []byte {
		return frame(t, &peerpb.Response{Kind: &peerpb.Response_Data{Data: &peerpb.Data{Id: id}}}, n)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	parts := [][]byte{head(1, size), want[:10], want[10 : size/2], want[size/2 : size-1], want[size-1:], head(2, 3), want[:3], head(3, size), want[:100]}
	server := make(chan error, 1)
	defer func() { _ = l.Close() }()
	go func() { server <- pausing(l, responseHello(t, 3, ownerID), parts) }()
	peer := shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: uint16(l.Addr().(*net.TCPAddr).Port), DaemonID: ownerID}
	opts := options(readerID)
	opts.Streams = 1
	c, err := tcp.New(opts).Dial(t.Context(), peer)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ended := make(chan error, 3)
	var reqs []shuffle.ReadRequest
	told := 0
	for i, n := range []int{size, 3, size} {
		reqs = append(reqs, shuffle.ReadRequest{
			Ranges: []shuffle.Range{{Handle: uint64(i + 1), Length: int64(n)}}, Dst: make([]byte, n),
			Arrived: func(int) { told++ }, Done: func(err error) { ended <- err },
		})
	}
	c.Read(reqs)
	for i, n := range []int{size, 3} {
		if err := <-ended; err != nil || !bytes.Equal(reqs[i].Dst, want[:n]) {
			t.Fatalf("read %d: %v", i, err)
		}
	}
	if err := <-ended; err == nil {
		t.Error("a payload without its end is no error")
	}
	if <-c.Closed(); told < 3 {
		t.Errorf("told %d times that bytes have arrived", told)
	}
	if err := <-server; err != nil {
		t.Error(err)
	}
}

// pausing answers the hello of two connections, and the next request of the second with parts that the reader finds one by one. Then it hangs
// up.
func pausing(l net.Listener, hello []byte, parts [][]byte) error {
	buf := make([]byte, 4096)
	var sock net.Conn
	for range 2 {
		var err error
		if sock, err = l.Accept(); err != nil {
			return err
		}
		conn := sock
		defer func() { _ = conn.Close() }()
		if _, err := sock.Read(buf); err != nil {
			return err
		}
		if _, err := sock.Write(hello); err != nil {
			return err
		}
	}
	if _, err := sock.Read(buf); err != nil {
		return err
	}
	for _, part := range parts {
		if _, err := sock.Write(part); err != nil {
			return err
		}
		time.Sleep(20 * time.Millisecond)
	}
	return nil
}
