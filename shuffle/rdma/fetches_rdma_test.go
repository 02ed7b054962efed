//go:build rdma

package rdma

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"golang.org/x/sys/unix"

	"weft/internal/leakcheck"
	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/mempool"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
	"weft/verbs/verbstest"
)

// anonymous is a Backing of memory that no other process sees.
type anonymous struct{}

func (anonymous) NewRegion(_ uint32, size int64) ([]byte, func() error, error) {
	mem, err := unix.Mmap(-1, 0, int(size), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	return mem, func() error { return unix.Munmap(mem) }, err
}

// engine is a reader's: fetches as a daemon does them, into registered memory.
type engine struct {
	*side
	fetcher *shuffle.Fetcher
	arena   *mempool.Arena
	peer    shuffle.PeerAddr
}

func newEngine(t testing.TB, src shuffle.Source, eager int) *engine {
	t.Helper()
	owner := newSide(t, 2)
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	server := tcp.NewServer(l, owner.options(), src, owner.metrics)
	go func() { _ = server.Serve() }()
	t.Cleanup(func() { verbstest.Close(t, server) })
	e := &engine{side: newSide(t, 1), peer: shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: server.Addr().Port(), DaemonID: owner.id}}
	e.arena = mempool.NewArena(mempool.ArenaOptions{
		Backing: anonymous{}, Budget: mempool.NewBudget(32 << 20), Purpose: metrics.Receive, RegionSize: 8 << 20, Max: 32 << 20,
		Registrars: []mempool.Registrar{e.domain.Receive()},
	})
	t.Cleanup(func() {
		verbstest.Close(t, e.arena)
		verbstest.Await(t, e.arena.Done(), "the end of the arena")
	})
	peers := shuffle.NewPeers(shuffle.PeersOptions{DaemonID: e.id, Transports: []shuffle.Transport{tcp.New(e.options())}}, e.metrics, e.log)
	t.Cleanup(peers.Close)
	e.fetcher = shuffle.NewFetcher(peers, shuffle.FetchOptions{
		EagerBlock: eager, EagerMax: 16 * eager, Piece: 256 << 10, Window: 8, MemoryWait: verbstest.Patience,
	}, e.metrics, e.log)
	return e
}

// judge is a Sink that compares what comes with the reference: the bytes themselves.
type judge struct {
	want  [][]byte
	left  int
	err   error
	ended chan struct{}
}

func (j *judge) Delivered(d shuffle.Delivery) {
	for _, e := range d.Entries {
		got := []byte(nil)
		if e.Length > 0 {
			got = d.Lease.Bytes()[e.Offset-d.Lease.Offset():][:e.Length]
		}
		if !bytes.Equal(got, j.want[e.Block]) {
			j.err = fmt.Errorf("block %d of %d bytes: other bytes", e.Block, len(j.want[e.Block]))
		}
	}
	if d.Lease != nil {
		d.Lease.ReleaseShares(len(d.Entries))
	}
	j.end(len(d.Entries))
}

func (j *judge) Failed(blocks []int, reason shuffle.Reason, detail string) {
	j.err = fmt.Errorf("%d blocks failed: %v %s", len(blocks), reason, detail)
	j.end(len(blocks))
}

func (j *judge) end(n int) {
	if j.left -= n; j.left == 0 {
		close(j.ended)
	}
}

func (e *engine) fetch(ids []shuffle.BlockID, want [][]byte) error {
	j := &judge{want: want, left: len(ids), ended: make(chan struct{})}
	e.fetcher.Fetch(context.Background(), &shuffle.FetchRequest{
		App: theApp, Executor: "1", Peer: e.peer, Blocks: ids, Arena: e.arena, Timeout: verbstest.Patience,
	}, j)
	select {
	case <-j.ended:
		return j.err
	case <-time.After(2 * verbstest.Patience):
		return fmt.Errorf("%d of %d blocks did not end", j.left, len(ids))
	}
}

// A hundred thousand blocks of random sizes, many at a time, against the reference.
func TestHundredThousandFetches(t *testing.T) {
	leakcheck.Check(t)
	const total, workers, eager = 100_000, 8, 512
	rng := rand.New(rand.NewPCG(7, 8))
	src := transporttest.NewSource(t)
	var ids []shuffle.BlockID
	var data [][]byte
	for i := range 300 {
		b := transporttest.Bytes(i, rng.IntN(1<<rng.IntN(20)))
		src.AddFile(transporttest.ID(i), b)
		ids, data = append(ids, transporttest.ID(i)), append(data, b)
	}
	e := newEngine(t, src, eager)
	if err := e.fetch(ids, data); err != nil { // connects
		t.Fatal(err)
	}
	var left, large atomic.Int64
	left.Store(total)
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(w), 9))
			for !t.Failed() {
				n := 1 + rng.IntN(40)
				if left.Add(-int64(n)) < -int64(n) {
					return
				}
				asked, want := make([]shuffle.BlockID, n), make([][]byte, n)
				for i := range n {
					b := rng.IntN(len(ids))
					asked[i], want[i] = ids[b], data[b]
					if len(data[b]) > eager {
						large.Add(1)
					}
				}
				if err := e.fetch(asked, want); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	direct := testutil.ToFloat64(e.metrics.BlocksTotal(Name, metrics.Received))
	over := testutil.ToFloat64(e.metrics.BlocksTotal(tcp.Name, metrics.Received))
	t.Logf("%v blocks by RDMA, %v over TCP", direct, over)
	if direct+over < total || direct < float64(large.Load()) {
		t.Errorf("%v blocks came by RDMA and %v over TCP, want all, and by RDMA the %d that are no eager ones", direct, over, large.Load())
	}
}
