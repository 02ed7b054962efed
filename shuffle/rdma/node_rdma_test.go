//go:build rdma

package rdma

import (
	"bytes"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"weft/internal/leakcheck"
	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/mempool"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
	"weft/verbs"
	"weft/verbs/verbstest"
)

var theApp = shuffle.App{ID: "app"}

// side is one daemon's half: a device, and an executor's memory of it.
type side struct {
	node    *Node
	domain  *Domain
	metrics *metrics.Set
	id      [16]byte
	log     *slog.Logger
	direct  shuffle.Direct // node, as peers see it
	left    bool
}

func newSide(t testing.TB, id byte) *side {
	t.Helper()
	s := &side{metrics: metrics.NewSet(), id: [16]byte{id}, log: slog.New(slog.NewTextHandler(t.Output(), nil))}
	var err error
	s.node, err = Open(NodeOptions{
		Options: Options{Log: s.log}, Device: "auto", Registered: 64 << 20, Metrics: s.metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verbstest.Close(t, s.node) })
	if s.domain, err = s.node.Join(theApp); err != nil {
		t.Fatal(err)
	}
	s.direct = s.node
	t.Cleanup(func() {
		if !s.left {
			s.domain.Leave()
		}
	})
	return s
}

// memory is an executor's, for the time of the test.
func (s *side) memory(t testing.TB, n int, registrar mempool.Registrar) []byte {
	t.Helper()
	mem := verbstest.Memory(t, n)
	reg, err := registrar.Register(mem)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verbstest.Close(t, reg) })
	return mem
}

func (s *side) options() tcp.Options {
	return tcp.Options{
		DaemonID: s.id, PeerTimeout: verbstest.Patience, Streams: 2, Log: s.log, Direct: s.direct, Metrics: s.metrics, Backoff: time.Millisecond,
	}
}

// connect makes a connection of reader to the blocks of src, which are owner's.
func connect(t testing.TB, reader, owner *side, src shuffle.Source) (shuffle.Conn, *tcp.Server) {
	t.Helper()
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	server := tcp.NewServer(l, owner.options(), src, owner.metrics)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve() }()
	t.Cleanup(func() {
		verbstest.Close(t, server)
		if err := verbstest.Await(t, ended, "Serve"); err != nil {
			t.Error(err)
		}
	})
	peer := shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: server.Addr().Port(), DaemonID: owner.id}
	c, err := tcp.New(reader.options()).Dial(t.Context(), peer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verbstest.Close(t, c) })
	return c, server
}

// locate asks where blocks are.
func locate(t testing.TB, c shuffle.Conn, ids ...shuffle.BlockID) []shuffle.Located {
	t.Helper()
	located := make(chan []shuffle.Located, 1)
	c.Locate(&shuffle.LocateRequest{App: theApp, Executor: "1", Blocks: ids}, nil, func(l []shuffle.Located, err error) {
		if err != nil {
			t.Error(err)
		}
		located <- l
	})
	all := verbstest.Await(t, located, "Locate")
	for i := range all {
		if all[i].Err != nil {
			t.Fatal(all[i].Err)
		}
	}
	return all
}

// read reads a block to its end into dst and gives its handle up; by is how it came, "" over TCP.
func read(t testing.TB, c shuffle.Conn, dst []byte, l shuffle.Located) (got []byte, by string) {
	t.Helper()
	ended := make(chan error, 1)
	dst = dst[:l.Length]
	clear(dst)
	c.Read([]shuffle.ReadRequest{{
		Ranges: []shuffle.Range{{Handle: l.Handle, Length: l.Length}}, Release: []uint64{l.Handle}, Dst: dst,
		By: func(transport string) { by = transport }, Done: func(err error) { ended <- err },
	}})
	if err := verbstest.Await(t, ended, "Read"); err != nil {
		t.Fatal(err)
	}
	return dst, by
}

func TestBlocksAreReadWhereTheyLie(t *testing.T) {
	leakcheck.Check(t)
	reader, owner := newSide(t, 1), newSide(t, 2)
	src := transporttest.NewSource(t)
	file, mem := transporttest.Bytes(1, 3<<20), owner.memory(t, 2<<20, owner.domain.Upcall())
	copy(mem, transporttest.Bytes(2, 1<<20))
	src.AddFile(transporttest.ID(0), file)
	src.AddMem(transporttest.ID(1), mem[1000:1<<20])
	src.AddMem(transporttest.ID(2), transporttest.Bytes(3, 100000)) // not registered
	c, _ := connect(t, reader, owner, src)

	ids := []shuffle.BlockID{transporttest.ID(0), transporttest.ID(1), transporttest.ID(2)}
	want := [][]byte{file, mem[1000 : 1<<20], transporttest.Bytes(3, 100000)}
	dst := reader.memory(t, 8<<20, reader.domain.Receive())
	for range 3 {
		for i, l := range locate(t, c, ids...) {
			got, by := read(t, c, dst, l)
			if !bytes.Equal(got, want[i]) {
				t.Errorf("block %d: other bytes", i)
			}
			if direct := by == Name; direct != (i < 2) {
				t.Errorf("block %d came by %q", i, by)
			}
		}
	}
	if n := testutil.ToFloat64(owner.metrics.HiddenBlocks); n != 0 {
		t.Errorf("%v blocks count as hidden, though all that executors share is registered", n)
	}
	if n := testutil.ToFloat64(owner.metrics.BytesTotal(tcp.Name, metrics.Served)); n != 300000 {
		t.Errorf("the owner sent %v bytes of blocks over TCP, want those of memory that is not registered: 300000", n)
	}
	if n := testutil.ToFloat64(reader.metrics.PeerDials(Name, metrics.OK)); n != 1 {
		t.Errorf("%v connections were made, want 1", n)
	}
}

// netDev is the network device that the device under test is on.
func netDev(t testing.TB) string {
	t.Helper()
	names, err := verbs.Sys("").NetDevs(verbstest.Device(t).Name(), 1)
	if err != nil || len(names) != 1 {
		t.Fatalf("network devices %v, want one: %v", names, err)
	}
	return names[0]
}

// What every connection keeps to, one whose files' blocks come by RDMA does, too.
func TestConformance(t *testing.T) {
	var direct float64
	transporttest.Run(t, func(t *testing.T, src shuffle.Source) transporttest.Link {
		reader, owner := newSide(t, 1), newSide(t, 2)
		c, server := connect(t, reader, owner, src)
		t.Cleanup(func() { direct += testutil.ToFloat64(reader.metrics.PeerDials(Name, metrics.OK)) })
		return transporttest.Link{
			Conn: c, Kill: func() { _ = server.Close() }, Pinned: true,
			Memory: func(n int) []byte { return reader.memory(t, n, reader.domain.Receive()) },
		}
	})
	if direct == 0 {
		t.Error("no test used RDMA")
	}
}

// A file may be truncated while its pages are read. Without a checksum nobody would see it, so such a block goes over TCP.
func TestUncheckedFilesAreNotExposed(t *testing.T) {
	leakcheck.Check(t)
	s := newSide(t, 1)
	f, data := dataFile(t, 4096)
	block := &shuffle.Found{File: f, Length: int64(len(data)), CRC: shuffle.Checksum(data), Checked: true}
	if _, hide, err := s.node.Expose(theApp, block); err != nil {
		t.Error(err)
	} else {
		hide()
	}
	block.Checked = false
	if _, _, err := s.node.Expose(theApp, block); !errors.Is(err, errUnchecked) {
		t.Errorf("a block without a checksum: %v", err)
	}
}
