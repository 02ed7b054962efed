package jvmbridge_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"weft/internal/leakcheck"
	"weft/internal/metrics"
	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
	"weft/jvmbridge"
	"weft/jvmbridge/bridgetest"
	"weft/shuffle"
	"weft/shuffle/mempool"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

const patience = 20 * time.Second // for what takes milliseconds

// rig is a server with its collaborators.
type rig struct {
	*jvmbridge.Server
	registry *shuffle.Registry
	metrics  *metrics.Set
	budget   *mempool.Budget
	socket   string
	open     chan int // numbers of sessions, as OnSessions gets them

	driverGone func(error) // ends the driver of who asked for its map outputs to be kept
}

// fetchFunc is a Fetcher.
type fetchFunc func(ctx context.Context, req *shuffle.FetchRequest, sink shuffle.Sink)

func (f fetchFunc) Fetch(ctx context.Context, req *shuffle.FetchRequest, sink shuffle.Sink) {
	f(ctx, req, sink)
}

// newRig starts a server; change adjusts its options.
func newRig(t testing.TB, fetcher jvmbridge.Fetcher, change func(*jvmbridge.Options)) *rig {
	t.Helper()
	leakcheck.Check(t)
	dir, err := os.MkdirTemp("", "weft-bridge") // short: a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	log := slog.New(slog.NewTextHandler(testWriter{t}, nil))
	r := &rig{
		metrics: metrics.NewSet(), budget: mempool.NewBudget(64 << 20),
		socket: filepath.Join(dir, "weft-v1.sock"), open: make(chan int, 1000),
	}
	r.registry = shuffle.NewRegistry(shuffle.RegistryOptions{Keeping: &shuffle.Keeping{
		Name:     "weft-kept-test",
		Record:   func(shuffle.Left) (shuffle.Record, error) { return noRecord{}, nil },
		Watch:    func(_ string, gone func(error)) func() { r.driverGone = gone; return func() {} },
		Departed: func(int) {},
	}}, r.metrics, log)
	opts := jvmbridge.Options{
		DaemonID: [16]byte{1, 2, 3}, PeerAddresses: []string{"10.0.0.1"}, PeerPort: 7400, SoftwareVersion: "test", RDMADevice: "rxe0", RDMASoftware: true,
		SessionBytes: 8 << 20, UpcallBytes: 4 << 20, RegionBytes: 1 << 20, MemoryWait: time.Second,
		OnSessions: func(n int) { r.open <- n },
	}
	if change != nil {
		change(&opts)
	}
	r.Server = jvmbridge.NewServer(opts, r.registry, fetcher, r.budget, r.metrics, log)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: r.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- r.Serve(l) }()
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if left := r.registry.Status(); len(left) != 0 {
			t.Errorf("executors left in the registry: %+v", left)
		}
	})
	return r
}

// testWriter puts the daemon's log into the test's.
type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", p[:len(p)-1])
	return len(p), nil
}

// dial opens a session that ends with the test.
func (r *rig) dial(t testing.TB, hello *bridgepb.Hello) *bridgetest.Client {
	t.Helper()
	c, err := bridgetest.Dial(r.socket, hello)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// raw is a session whose frames the test reads and writes itself.
type raw struct {
	t           *testing.T
	frames      *net.UnixConn
	descriptors *net.UnixConn
}

func (r *rig) connect(t *testing.T) *net.UnixConn {
	t.Helper()
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: r.socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	return conn
}

func (r *rig) dialRaw(t *testing.T, hello *bridgepb.Hello) *raw {
	t.Helper()
	s := &raw{t: t, frames: r.connect(t)}
	s.send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Hello{Hello: hello}})
	welcome := s.read().GetWelcome()
	s.descriptors = r.connect(t)
	attach := &bridgepb.Attach{SessionId: welcome.GetSessionId(), AttachToken: welcome.GetAttachToken()}
	if err := bridgetest.WriteFrame(s.descriptors, &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Attach{Attach: attach}}); err != nil {
		t.Fatal(err)
	}
	if m := s.read(); m.GetAttached() == nil {
		t.Fatalf("%v instead of Attached", m)
	}
	return s
}

func (s *raw) send(m *bridgepb.ToDaemon) {
	s.t.Helper()
	if err := bridgetest.WriteFrame(s.frames, m); err != nil {
		s.t.Fatal(err)
	}
}

func (s *raw) read() *bridgepb.ToJvm {
	s.t.Helper()
	m := &bridgepb.ToJvm{}
	if err := bridgetest.ReadFrame(s.frames, m); err != nil {
		s.t.Fatal(err)
	}
	return m
}

// mustEnd fails unless the daemon closes the session.
func mustEnd(t *testing.T, c *bridgetest.Client) {
	t.Helper()
	select {
	case <-c.Done():
		if err := c.Err(); !errors.Is(err, io.EOF) {
			t.Logf("the session ended with %v", err) // ECONNRESET where the daemon left bytes unread
		}
	case <-time.After(patience):
		t.Fatal("the daemon did not end the session")
	}
}

// mustWork fails unless the session fetches.
func mustWork(t testing.TB, c *bridgetest.Client) {
	t.Helper()
	blocks, err := c.FetchAll(context.Background(), fetchOf(false, "rdd_1_1"))
	if err != nil || blocks[0].Reason != 0 {
		t.Fatalf("a session that should work: %v %+v", err, blocks)
	}
	if err := c.Release(blocks...); err != nil {
		t.Fatal(err)
	}
}

// eventually waits for what other goroutines are about to do.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(100 * time.Microsecond) {
		if time.Now().After(end) {
			t.Fatalf("it never came about that %s", what)
		}
	}
}

func fetchOf(pieces bool, names ...string) *bridgepb.Fetch {
	m := &bridgepb.Fetch{
		PeerAddress: []string{"10.0.0.2"}, PeerPort: 7400, PeerDaemonId: make([]byte, 16), ExecutorId: "2",
		Blocks: &blockpb.Blocks{Name: names}, TimeoutMs: 1000,
	}
	if pieces {
		m.Delivery = bridgepb.Delivery_DELIVERY_PIECES
	}
	return m
}

// contents delivers blocks from a table by name, in the manner of the real fetcher: small ones in one lease, and pieces.
type contents struct {
	blocks    map[string][]byte
	pieceSize int

	mu       sync.Mutex
	requests []*shuffle.FetchRequest
}

func (c *contents) Fetch(ctx context.Context, req *shuffle.FetchRequest, sink shuffle.Sink) {
	c.mu.Lock()
	c.requests = append(c.requests, req)
	c.mu.Unlock()
	go func() {
		if req.Pieces {
			c.pieces(ctx, req, sink)
			return
		}
		total, there := 0, []int{}
		var missing []int
		for i, id := range req.Blocks {
			if b, ok := c.blocks[id.String()]; ok {
				total += len(b)
				there = append(there, i)
			} else {
				missing = append(missing, i)
			}
		}
		if len(missing) > 0 {
			sink.Failed(missing, shuffle.ReasonNotFound, "not in the table")
		}
		if len(there) == 0 {
			return
		}
		d := shuffle.Delivery{Transport: "table"}
		if total > 0 {
			lease, err := req.Arena.Alloc(ctx, total)
			if err != nil {
				sink.Failed(there, shuffle.ReasonNoSpace, err.Error())
				return
			}
			lease.Retain(len(there) - 1)
			d.Lease = lease
		}
		at := 0
		for _, i := range there {
			b := c.blocks[req.Blocks[i].String()]
			e := shuffle.Entry{Block: i, Length: int64(len(b))}
			if d.Lease != nil {
				copy(d.Lease.Bytes()[at:], b)
				e.Offset = d.Lease.Offset() + int64(at)
			}
			at += len(b)
			d.Entries = append(d.Entries, e)
		}
		sink.Delivered(d)
	}()
}

func (c *contents) pieces(ctx context.Context, req *shuffle.FetchRequest, sink shuffle.Sink) {
	for i, id := range req.Blocks {
		b := c.blocks[id.String()]
		for at := 0; at < len(b); at += c.pieceSize {
			n := min(c.pieceSize, len(b)-at)
			lease, err := req.Arena.Alloc(ctx, n)
			if err != nil {
				sink.Failed([]int{i}, shuffle.ReasonNoSpace, err.Error())
				break
			}
			copy(lease.Bytes(), b[at:])
			sink.Delivered(shuffle.Delivery{
				Lease: lease, Entries: []shuffle.Entry{{Block: i, Offset: lease.Offset(), Length: int64(n)}},
				PieceOffset: int64(at), BlockLength: int64(len(b)), Transport: "table",
			})
		}
	}
}

// pattern is n bytes that tell where they belong.
func pattern(seed byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = seed + byte(i*7)
	}
	return b
}

var table = &contents{blocks: map[string][]byte{"rdd_1_1": pattern(1, 1000)}, pieceSize: 64 << 10}

type noRecord struct{}

func (noRecord) Update(shuffle.Left) error { return nil }
func (noRecord) Forget()                   {}
