package tcp_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"weft/bench/raw"
	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/mempool"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

// shape is one row: blocks of one size, as many as a request asks for.
type shape struct {
	size, count int
}

var shapes = []shape{{1 << 10, 100}, {64 << 10, 100}, {1 << 20, 16}}

func (s shape) String() string { return fmt.Sprintf("block=%d/count=%d", s.size, s.count) }

// mapped is shared memory such as leases lie in.
func mapped(b *testing.B, n int) []byte {
	mem, err := unix.Mmap(-1, 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON|unix.MAP_POPULATE)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = unix.Munmap(mem) })
	return mem
}

// BenchmarkRaw is the limit: sendfile into the socket, reads into a shared mapping, nothing else.
func BenchmarkRaw(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.String(), func(b *testing.B) {
			src := benchSource(b, s)
			l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
			if err != nil {
				b.Fatal(err)
			}
			ctx, cancel := context.WithCancel(b.Context())
			var served sync.WaitGroup
			served.Go(func() { _ = raw.Serve(ctx, l, src.File, s.size) })
			defer served.Wait()
			defer cancel()
			sock, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				b.Fatal(err)
			}
			defer func() { _ = sock.Close() }()
			mem := mapped(b, 16<<20)
			b.SetBytes(int64(s.size * s.count))
			defer cpu(b, s)()
			off := 0
			for b.Loop() {
				for range s.count {
					if _, err := io.ReadFull(sock, mem[off:off+s.size]); err != nil {
						b.Fatal(err)
					}
					if off += s.size; off+s.size > len(mem) {
						off = 0
					}
				}
			}
		})
	}
}

// plainSource serves a file's blocks without work of its own.
type plainSource struct {
	*os.File
	size    int64
	sum     uint32
	checked bool
}

func (p plainSource) App(id string) (shuffle.App, error) { return shuffle.App{ID: id}, nil }

func (plainSource) Ask(context.Context, *shuffle.LocateRequest, func([]shuffle.Found)) bool {
	return false
}

func (p plainSource) Locate(_ context.Context, req *shuffle.LocateRequest) ([]shuffle.Found, error) {
	found := make([]shuffle.Found, len(req.Blocks))
	for i := range found {
		found[i] = shuffle.Found{Length: p.size, CRC: p.sum, Checked: p.checked, File: p.File, Offset: int64(req.Blocks[i].Map) * p.size}
	}
	return found, nil
}

func benchSource(b *testing.B, s shape) plainSource {
	f, err := os.Create(b.TempDir() + "/data")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = f.Close() })
	block := transporttest.Bytes(1, s.size)
	for range s.count {
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	return plainSource{f, int64(s.size), shuffle.Checksum(block), true}
}

func (s shape) ids() []shuffle.BlockID {
	ids := make([]shuffle.BlockID, s.count)
	for i := range ids {
		ids[i] = transporttest.ID(i)
	}
	return ids
}

type discard struct{ ended chan string }

func (d *discard) Delivered(v shuffle.Delivery) {
	n := len(v.Entries)
	v.Lease.ReleaseShares(n)
	for range n {
		d.ended <- ""
	}
}

func (d *discard) Failed(_ []int, _ shuffle.Reason, detail string) { d.ended <- detail }

type shared struct{ b *testing.B }

func (s shared) NewRegion(_ uint32, size int64) ([]byte, func() error, error) {
	return mapped(s.b, int(size)), func() error { return nil }, nil
}

// transports are those to compare.
var transports = []struct {
	name string
	new  func(tcp.Options) *tcp.Transport
}{{tcp.Name, tcp.New}, {tcp.NameTLS, tcp.NewTLS}}

// BenchmarkFetch is a whole fetch over tcp, without and with TLS: request, answer, reads, leases, and with or without checksums.
func BenchmarkFetch(b *testing.B) {
	for _, s := range shapes {
		for _, checksum := range []bool{false, true} {
			for _, transport := range transports {
				b.Run(fmt.Sprintf("%v/checksum=%v/transport=%s", s, checksum, transport.name), func(b *testing.B) {
					benchFetch(b, transport.new(options(readerID)), s, checksum)
				})
			}
		}
	}
}

func benchFetch(b *testing.B, by *tcp.Transport, s shape, checksum bool) {
	src := benchSource(b, s)
	src.checked = checksum
	_, peer := listen(b, src, "tcp", "127.0.0.1")
	m, log := metrics.NewSet(), slog.New(slog.DiscardHandler)
	peers := shuffle.NewPeers(shuffle.PeersOptions{DaemonID: readerID, Transports: []shuffle.Transport{by}}, m, log)
	defer peers.Close()
	fetcher := shuffle.NewFetcher(peers, shuffle.FetchOptions{
		EagerBlock: 32 << 10, EagerMax: 256 << 10, Piece: 4 << 20, Window: 8,
	}, m, log)
	arena := mempool.NewArena(mempool.ArenaOptions{
		Backing: shared{b}, Budget: mempool.NewBudget(64 << 20), Purpose: "bench", RegionSize: 16 << 20, Max: 64 << 20,
	})
	defer func() { _ = arena.Close() }()
	ids := s.ids()
	sink := &discard{ended: make(chan string, s.count)}
	b.SetBytes(int64(s.size * s.count))
	b.ReportAllocs()
	defer cpu(b, s)()
	for b.Loop() {
		fetcher.Fetch(b.Context(), &shuffle.FetchRequest{Peer: peer, Blocks: ids, Arena: arena}, sink)
		for range s.count {
			if detail := <-sink.ended; detail != "" {
				b.Fatal(detail)
			}
		}
	}
}

// BenchmarkTCP is the connection alone, without and with TLS: Locate, then reads of 1 MiB, eight in flight.
func BenchmarkTCP(b *testing.B) {
	for _, s := range shapes {
		for _, transport := range transports {
			b.Run(fmt.Sprintf("%v/transport=%s", s, transport.name), func(b *testing.B) { benchConn(b, transport.new(options(readerID)), s) })
		}
	}
}

func benchConn(b *testing.B, by *tcp.Transport, s shape) {
	_, peer := listen(b, benchSource(b, s), "tcp", "127.0.0.1")
	c := dialBy(b, by, peer)
	mem := mapped(b, 16<<20)
	located := make(chan []shuffle.Located, 1)
	window := make(chan error, 8)
	req := &shuffle.LocateRequest{Blocks: s.ids(), EagerBlock: 32 << 10}
	onLocated := func(l []shuffle.Located, err error) {
		if err != nil {
			b.Error(err)
		}
		located <- l
	}
	onRead := func(err error) { window <- err }
	b.SetBytes(int64(s.size * s.count))
	b.ReportAllocs()
	defer cpu(b, s)()
	perRead := max(1, 1<<20/s.size)
	ranges, release := make([]shuffle.Range, 0, perRead), make([]uint64, 0, perRead)
	for b.Loop() {
		c.Locate(req, mem[:256<<10], onLocated)
		blocks := <-located
		flying, off := 0, 256<<10
		for len(blocks) > 0 && blocks[0].Handle != 0 {
			n := min(perRead, len(blocks))
			ranges, release = ranges[:0], release[:0]
			for _, l := range blocks[:n] {
				ranges, release = append(ranges, shuffle.Range{Handle: l.Handle, Length: l.Length}), append(release, l.Handle)
			}
			blocks = blocks[n:]
			if flying == cap(window) {
				if err := <-window; err != nil {
					b.Fatal(err)
				}
				flying--
			}
			if off+n*s.size > len(mem) {
				off = 256 << 10
			}
			c.Read([]shuffle.ReadRequest{{Ranges: ranges, Release: release, Dst: mem[off : off+n*s.size], Done: onRead}})
			flying++
			off += n * s.size
		}
		for ; flying > 0; flying-- {
			if err := <-window; err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkDial is what connections to a peer cost, each of a bundle of four, until the two sides have said hello.
func BenchmarkDial(b *testing.B) {
	for _, transport := range transports {
		b.Run("transport="+transport.name, func(b *testing.B) {
			_, peer := listen(b, benchSource(b, shape{1, 1}), "tcp", "127.0.0.1")
			begin := processTime(b)
			for b.Loop() {
				c, err := transport.new(options(readerID)).Dial(b.Context(), peer)
				if err != nil {
					b.Fatal(err)
				}
				_ = c.Close()
			}
			b.ReportMetric(float64(processTime(b)-begin)/float64(b.N*(1+options(readerID).Streams))/1000, "cpu-us/conn")
		})
	}
}

// cpu reports the processor time of the whole process for each byte moved: what both ends cost, however busy the machine is.
func cpu(b *testing.B, s shape) (report func()) {
	begin := processTime(b)
	return func() {
		used := processTime(b) - begin
		b.ReportMetric(float64(used)/float64(b.N*s.size*s.count)*1000, "cpu-ps/B")
	}
}

func processTime(b *testing.B) int64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u.Utime.Nano() + u.Stime.Nano()
}
