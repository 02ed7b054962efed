package shuffle_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/mem"
	"weft/shuffle/mempool"
	"weft/shuffle/transporttest"
)

const (
	kib = 1 << 10
	mib = 1 << 20

	patience = 30 * time.Second
)

// recorder is a Sink that checks what every fetch keeps to: one call at a time, each block ended once, pieces in order. It copies what it
// is given and passes the shares to give, which releases them by default.
type recorder struct {
	t      testing.TB
	pieces bool
	give   func(shares int, l *mempool.Lease)

	calls sync.Mutex // held during a call
	mu    sync.Mutex
	data  map[int][]byte
	fail  map[int]shuffle.Reason
	left  int
	ended chan struct{}

	deliveries int
	details    []string
}

func newRecorder(t testing.TB, req *shuffle.FetchRequest) *recorder {
	return &recorder{
		t: t, pieces: req.Pieces, left: len(req.Blocks), ended: make(chan struct{}),
		data: make(map[int][]byte), fail: make(map[int]shuffle.Reason),
		give: func(n int, l *mempool.Lease) { l.ReleaseShares(n) },
	}
}

func (r *recorder) enter() (leave func()) {
	if !r.calls.TryLock() {
		r.t.Error("two calls at once")
	}
	r.mu.Lock()
	return func() {
		if r.left == 0 {
			close(r.ended)
		}
		r.mu.Unlock()
		r.calls.Unlock()
	}
}

// end notes that a block has ended.
func (r *recorder) end(block int) {
	if _, failed := r.fail[block]; failed {
		r.t.Errorf("block %d ended twice", block)
	}
	r.left--
}

func (r *recorder) Delivered(d shuffle.Delivery) {
	defer r.enter()()
	r.deliveries++
	for _, e := range d.Entries {
		var part []byte
		if e.Length > 0 {
			at := e.Offset - d.Lease.Offset()
			part = bytes.Clone(d.Lease.Bytes()[at : at+e.Length])
		}
		have, again := r.data[e.Block]
		switch {
		case r.pieces && (len(d.Entries) != 1 || d.PieceOffset != int64(len(have))):
			r.t.Errorf("a piece at %d of block %d, which has %d bytes so far (%d entries)", d.PieceOffset, e.Block, len(have), len(d.Entries))
		case !r.pieces && (again || d.BlockLength != 0):
			r.t.Errorf("block %d was delivered twice or in pieces: %+v", e.Block, d)
		}
		r.data[e.Block] = append(have, part...)
		if !r.pieces || int64(len(r.data[e.Block])) == d.BlockLength {
			r.end(e.Block)
		}
	}
	if d.Lease != nil {
		r.give(len(d.Entries), d.Lease)
	}
}

func (r *recorder) Failed(blocks []int, reason shuffle.Reason, detail string) {
	defer r.enter()()
	r.details = append(r.details, detail)
	for _, b := range blocks {
		if have, some := r.data[b]; some && !r.pieces {
			r.t.Errorf("block %d failed after it was delivered (%d bytes)", b, len(have))
		}
		r.end(b)
		r.fail[b] = reason
	}
}

func (r *recorder) wait() {
	r.t.Helper()
	select {
	case <-r.ended:
	case <-time.After(patience):
		r.mu.Lock()
		defer r.mu.Unlock()
		r.t.Fatalf("%d blocks have not ended; %d delivered, %d failed", r.left, len(r.data), len(r.fail))
	}
}

// check compares what was delivered with the blocks' bytes; the blocks in failed must have failed with the reason, the others not.
func (r *recorder) check(data [][]byte, reason shuffle.Reason, failed ...int) {
	r.t.Helper()
	r.wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	expected := make(map[int]bool)
	for _, b := range failed {
		expected[b] = true
		if r.fail[b] != reason {
			r.t.Errorf("block %d: failed with %v, want %v (%q)", b, r.fail[b], reason, r.details)
		}
	}
	for b, want := range data {
		if expected[b] {
			continue
		}
		if why, ok := r.fail[b]; ok {
			r.t.Errorf("block %d failed: %v (%q)", b, why, r.details)
		} else if !bytes.Equal(r.data[b], want) {
			r.t.Errorf("block %d: %d bytes, other than its owner's %d", b, len(r.data[b]), len(want))
		}
	}
}

// rig is a fetcher with a source at the other end of transport mem, broken as a script says.
type rig struct {
	t       testing.TB
	src     *transporttest.Source
	script  *transporttest.Script
	metrics *metrics.Set
	arena   *mempool.Arena
	budget  *mempool.Budget
	peers   *shuffle.Peers
	fetcher *shuffle.Fetcher
}

var (
	ownID  = [16]byte{1}
	peerID = [16]byte{2}
)

func fetchOptions() shuffle.FetchOptions {
	return shuffle.FetchOptions{
		EagerBlock: 4 * kib, EagerMax: 32 * kib, Piece: 64 * kib, Window: 4, MemoryWait: 10 * time.Second,
	}
}

func newRig(t testing.TB, script string, arena int64, opts shuffle.FetchOptions) *rig {
	t.Helper()
	r := &rig{
		t: t, src: transporttest.NewSource(t), script: transporttest.MustParse(script), metrics: metrics.NewSet(),
		budget: mempool.NewBudget(arena),
	}
	log := slog.New(slog.DiscardHandler)
	r.peers = shuffle.NewPeers(shuffle.PeersOptions{
		DaemonID: ownID, Transports: []shuffle.Transport{transporttest.Faulty(mem.New(r.src, r.metrics), r.script)},
	}, r.metrics, log)
	r.fetcher = shuffle.NewFetcher(r.peers, opts, r.metrics, log)
	r.arena = newArena(t, r.budget, arena)
	t.Cleanup(func() { // before the arena's
		r.peers.Close()
		r.leased(0)
	})
	return r
}

func newArena(t testing.TB, budget *mempool.Budget, size int64) *mempool.Arena {
	t.Helper()
	a := mempool.NewArena(mempool.ArenaOptions{Backing: mempool.Heap{}, Budget: budget, Purpose: "test", RegionSize: size, Max: size})
	t.Cleanup(func() {
		_ = a.Close()
		<-a.Done()
	})
	return a
}

func (r *rig) request(ids []shuffle.BlockID) *shuffle.FetchRequest {
	return &shuffle.FetchRequest{Executor: "1", Peer: shuffle.PeerAddr{DaemonID: peerID}, Blocks: ids, Arena: r.arena}
}

// fetch begins to fetch blocks; change may change the request.
func (r *rig) fetch(ctx context.Context, ids []shuffle.BlockID, change func(*shuffle.FetchRequest, *recorder)) *recorder {
	req := r.request(ids)
	rec := newRecorder(r.t, req)
	if change != nil {
		change(req, rec)
	}
	rec.pieces = req.Pieces
	r.fetcher.Fetch(ctx, req, rec)
	return rec
}

func inPieces(req *shuffle.FetchRequest, _ *recorder) { req.Pieces = true }
