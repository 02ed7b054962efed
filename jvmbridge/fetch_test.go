package jvmbridge_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"weft/internal/metrics"
	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
	"weft/jvmbridge"
	"weft/jvmbridge/bridgetest"
	"weft/shuffle"
)

func TestBlocksArriveInSharedMemory(t *testing.T) {
	c := &contents{blocks: map[string][]byte{"shuffle_1_2_3": pattern(1, 10), "rdd_1_1": pattern(2, 100_000), "empty": {}}}
	r := newRig(t, c, nil)
	client := r.dial(t, bridgetest.Hello("app", "1"))
	m := fetchOf(false, "rdd_1_1", "nowhere", "empty")
	m.Blocks.ShuffleId, m.Blocks.MapId, m.Blocks.ReduceStart, m.Blocks.ReduceEnd = []uint32{1}, []uint64{2}, []uint32{3}, []uint32{4}
	m.TimeoutMs = 2500
	blocks, err := client.FetchAll(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"shuffle_1_2_3", "rdd_1_1", "", "empty"} {
		if name == "" {
			if blocks[i].Reason != blockpb.Reason_REASON_NOT_FOUND || blocks[i].Detail != "not in the table" {
				t.Errorf("block %d: %+v", i, blocks[i])
			}
			continue
		}
		if !bytes.Equal(blocks[i].Bytes, c.blocks[name]) || blocks[i].Transport != "table" {
			t.Errorf("%s arrived with %d bytes by %q", name, len(blocks[i].Bytes), blocks[i].Transport)
		}
	}
	req := c.requests[0]
	if req.Executor != "2" || req.Peer.Port != 7400 || req.Peer.Hosts[0] != "10.0.0.2" || req.Timeout != 2500*time.Millisecond || req.Pieces {
		t.Errorf("the fetcher was asked %+v", req)
	}
	if req.App.ID != "app" || !strings.HasPrefix(string(req.App.Token[:]), "token of app") {
		t.Errorf("for application %q with token %q", req.App.ID, req.App.Token)
	}

	if got := r.budget.Usage()[metrics.Receive]; got.Leases != 1 || got.Allocated != 1<<20 {
		t.Errorf("while the blocks are out: %+v", got)
	}
	if err := client.Release(blocks[0], blocks[1]); err != nil {
		t.Fatal(err)
	}
	mustWork(t, client) // a fetch behind the release: it was read
	if got := r.budget.Usage()[metrics.Receive]; got.Leases == 0 {
		t.Error("the lease went with two of its three shares")
	}
	if err := client.Release(blocks[3]); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all leases are back", func() bool { return r.budget.Usage()[metrics.Receive].Leases == 0 })
}

func TestEmptyBlocksNeedNoLease(t *testing.T) {
	r := newRig(t, &contents{blocks: map[string][]byte{"a": {}, "b": {}}}, nil)
	client := r.dial(t, bridgetest.Hello("app", "1"))
	blocks, err := client.FetchAll(t.Context(), fetchOf(false, "a", "b"))
	if err != nil || blocks[0].Lease != 0 || blocks[1].Lease != 0 || blocks[0].Reason != 0 {
		t.Errorf("%v %+v", err, blocks)
	}
	if n := client.Segments(); n != 0 {
		t.Errorf("%d segments for nothing", n)
	}
}

func TestABlockLargerThanTheArenaArrivesInPieces(t *testing.T) {
	c := &contents{blocks: map[string][]byte{"large": pattern(3, 20<<20)}, pieceSize: 512 << 10}
	r := newRig(t, c, func(o *jvmbridge.Options) { o.SessionBytes = 2 << 20 })
	client := r.dial(t, bridgetest.Hello("app", "1"))
	blocks, err := client.FetchAll(t.Context(), fetchOf(true, "large"))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(blocks[0].Bytes, c.blocks["large"]) || blocks[0].Pieces != 40 {
		t.Errorf("%d bytes in %d pieces (%s)", len(blocks[0].Bytes), blocks[0].Pieces, blocks[0].Detail)
	}
}

// A block that is copied anyway comes inside the frame if it is small, and its memory is free at once.
func TestSmallPiecesComeInsideTheFrame(t *testing.T) {
	const most = 64 << 10
	c := &contents{blocks: map[string][]byte{"one": {1}, "small": pattern(3, most), "large": pattern(4, most+1)}, pieceSize: 1 << 20}
	r := newRig(t, c, nil)
	client := r.dial(t, bridgetest.Hello("app", "1"))
	held, err := client.FetchAll(t.Context(), fetchOf(false, "one")) // so that others' memory does not begin where the region does
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		pieces bool
		max    uint32
		block  string
		inside bool
	}{
		{true, most, "one", true},
		{true, most, "small", true},
		{true, 4 * most, "small", true},
		{true, 4 * most, "large", false}, // the daemon's own limit
		{true, most - 1, "small", false},
		{true, 0, "one", false},
		{false, most, "one", false},
	} {
		m := fetchOf(test.pieces, test.block)
		m.InlineMax = test.max
		before := client.Inside()
		blocks, err := client.FetchAll(t.Context(), m)
		if err != nil || !bytes.Equal(blocks[0].Bytes, c.blocks[test.block]) || blocks[0].Transport != "table" {
			t.Fatalf("%+v: %v, %d bytes by %q", test, err, len(blocks[0].Bytes), blocks[0].Transport)
		}
		if inside := client.Inside() > before; inside != test.inside {
			t.Errorf("%+v: inside a frame: %v", test, inside)
		}
		if !test.inside {
			if err := client.Release(blocks[0]); err != nil {
				t.Fatal(err)
			}
		}
		eventually(t, "the other leases are back", func() bool { return r.budget.Usage()[metrics.Receive].Leases == 1 })
	}
	if !bytes.Equal(held[0].Bytes, c.blocks["one"]) {
		t.Error("the block that was held has other bytes")
	}
}

// What an executor does not read waits in its arena, and not in the daemon's heap.
func TestSmallPiecesForAPausedExecutor(t *testing.T) {
	const size, most = 64 << 10, 1 << 20
	c := &contents{blocks: map[string][]byte{"small": pattern(3, size)}, pieceSize: size}
	r := newRig(t, c, nil)
	client := r.dial(t, bridgetest.Hello("app", "1"))
	client.Pause()
	resume := sync.OnceFunc(client.Resume)
	t.Cleanup(resume)
	var fetches []*bridgetest.Fetch
	for range 3 * most / size {
		m := fetchOf(true, "small")
		m.InlineMax = size
		f, err := client.Fetch(m)
		if err != nil {
			t.Fatal(err)
		}
		fetches = append(fetches, f)
	}
	eventually(t, "all was delivered, and leases are out", func() bool { // not those of fetches under way, which are given back
		sessions := r.Sessions()
		return len(sessions) == 1 && sessions[0].Fetches == 0 && r.budget.Usage()[metrics.Receive].Leases > most/size
	})
	resume()
	for _, f := range fetches {
		blocks, err := f.Wait(t.Context())
		if err != nil || !bytes.Equal(blocks[0].Bytes, c.blocks["small"]) {
			t.Fatalf("%v, %d bytes", err, len(blocks[0].Bytes))
		}
	}
	if n := client.Inside(); n == 0 || n == len(fetches) {
		t.Errorf("%d of %d blocks came inside frames", n, len(fetches))
	}
	eventually(t, "all leases are back", func() bool { return r.budget.Usage()[metrics.Receive].Leases == 0 })
}

func TestCancelReachesTheFetcher(t *testing.T) {
	began := make(chan struct{})
	r := newRig(t, fetchFunc(func(ctx context.Context, req *shuffle.FetchRequest, sink shuffle.Sink) {
		go func() {
			close(began)
			<-ctx.Done()
			be := shuffle.ToBlockError(context.Cause(ctx))
			sink.Failed([]int{0, 1}, be.Reason, be.Detail)
		}()
	}), nil)
	client := r.dial(t, bridgetest.Hello("app", "1"))
	f, err := client.Fetch(fetchOf(false, "a", "b"))
	if err != nil {
		t.Fatal(err)
	}
	<-began
	if s := r.Sessions(); len(s) != 1 || s[0].Fetches != 1 {
		t.Errorf("sessions while a fetch is under way: %+v", s)
	}
	if err := f.Cancel(); err != nil {
		t.Fatal(err)
	}
	blocks, err := f.Wait(t.Context())
	if err != nil || blocks[0].Reason != blockpb.Reason_REASON_CANCELLED || blocks[1].Reason != blockpb.Reason_REASON_CANCELLED {
		t.Errorf("%v %+v", err, blocks)
	}
	if err := f.Cancel(); err != nil { // late: no error
		t.Fatal(err)
	}
	if err := client.Send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_FallbackReport{FallbackReport: &bridgepb.FallbackReport{}}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the request has ended", func() bool { return r.Sessions()[0].Fetches == 0 })
}

func TestManySessionsFetchAtOnce(t *testing.T) {
	c := &contents{blocks: map[string][]byte{}, pieceSize: 10_000}
	for i := range 50 {
		c.blocks[fmt.Sprintf("rdd_0_%d", i)] = pattern(byte(i), 1+i*1999)
	}
	r := newRig(t, c, nil)
	var wg sync.WaitGroup
	for s := range 4 {
		client := r.dial(t, bridgetest.Hello("app", fmt.Sprint(s)))
		for range 4 {
			wg.Go(func() {
				for i := range 60 {
					first, second := fmt.Sprintf("rdd_0_%d", i%50), fmt.Sprintf("rdd_0_%d", (i*13)%50)
					blocks, err := client.FetchAll(t.Context(), fetchOf(i%5 == 0, first, second))
					if err != nil {
						t.Error(err)
						return
					}
					if !bytes.Equal(blocks[0].Bytes, c.blocks[first]) || !bytes.Equal(blocks[1].Bytes, c.blocks[second]) {
						t.Errorf("wrong bytes: %s %s", blocks[0].Detail, blocks[1].Detail)
					}
					if err := client.Release(blocks...); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	wg.Wait()
	eventually(t, "all leases are back", func() bool { return r.budget.Usage()[metrics.Receive].Leases == 0 })
}

// A JVM that stands still keeps its leases, makes the daemon stop taking more of its requests, and delays nobody else.
func TestAPausedExecutor(t *testing.T) {
	r := newRig(t, table, func(o *jvmbridge.Options) { o.SessionBytes = 1 << 20 })
	paused, other := r.dial(t, bridgetest.Hello("app", "1")), r.dial(t, bridgetest.Hello("app", "2"))
	kept, err := paused.FetchAll(t.Context(), fetchOf(false, "rdd_1_1"))
	if err != nil {
		t.Fatal(err)
	}
	paused.Pause()
	const requests = 400          // whose answers are several times what the outbox and the sockets hold
	names := make([]string, 5000) // each answer names that many blocks that are not there
	for i := range names {
		names[i] = fmt.Sprintf("rdd_9_%d", i)
	}
	var fetches []*bridgetest.Fetch
	sent := make(chan error, 1)
	go func() { // blocks once the daemon reads no more
		for range requests {
			f, err := paused.Fetch(fetchOf(false, names...))
			if err != nil {
				sent <- err
				return
			}
			fetches = append(fetches, f)
		}
		sent <- nil
	}()
	for range 100 {
		mustWork(t, other)
	}
	select {
	case err := <-sent:
		paused.Resume()
		t.Fatalf("%d requests went out to a session that reads no answer (%v)", requests, err)
	case <-time.After(100 * time.Millisecond):
	}
	if !bytes.Equal(kept[0].Bytes, table.blocks["rdd_1_1"]) {
		t.Error("what the paused executor holds was overwritten")
	}
	paused.Resume()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	for _, f := range fetches {
		blocks, err := f.Wait(t.Context())
		if err != nil || blocks[4999].Reason != blockpb.Reason_REASON_NOT_FOUND {
			t.Fatalf("after the pause: %v", err)
		}
	}
	if err := paused.Release(kept...); err != nil {
		t.Fatal(err)
	}
	mustWork(t, paused)
}

func TestTooManyBlocksOutstandingFail(t *testing.T) {
	release := make(chan struct{})
	r := newRig(t, fetchFunc(func(_ context.Context, req *shuffle.FetchRequest, sink shuffle.Sink) {
		go func() {
			<-release
			all := make([]int, len(req.Blocks))
			for i := range all {
				all[i] = i
			}
			sink.Failed(all, shuffle.ReasonNotFound, "")
		}()
	}), nil)
	client := r.dial(t, bridgetest.Hello("app", "1"))
	n := shuffle.MaxBlocks
	ids := &blockpb.Blocks{ShuffleId: make([]uint32, n), MapId: make([]uint64, n), ReduceStart: make([]uint32, n), ReduceEnd: make([]uint32, n)}
	for i := range ids.ReduceEnd {
		ids.ReduceEnd[i] = 1
	}
	m := fetchOf(false)
	m.Blocks = ids
	first, err := client.Fetch(m)
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := client.FetchAll(t.Context(), fetchOf(false, "one more"))
	if err != nil || blocks[0].Reason != blockpb.Reason_REASON_NO_SPACE {
		t.Errorf("%v %+v", err, blocks)
	}
	close(release)
	if _, err := first.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}
