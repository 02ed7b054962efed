package tcp_test

import (
	"bytes"
	"log/slog"
	"testing"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/mempool"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

// byWay is a sink for one block at a time: its bytes, and the way by which they came.
type byWay struct{ got chan string }

func (s byWay) Delivered(d shuffle.Delivery) {
	got := d.Transport + " " + string(d.Lease.Bytes()[:d.Entries[0].Length])
	d.Lease.Release()
	s.got <- got
}

func (s byWay) Failed(_ []int, _ shuffle.Reason, detail string) { s.got <- "failed: " + detail }

// Blocks that are asked for one at a time bring up the way past all copies and take it, also those that could come with the answer if there were none: what comes
// so never tells of it.
func TestOneBlockGoesDirectly(t *testing.T) {
	src, direct := transporttest.NewSource(t), transporttest.NewDirect()
	src.Admit(anApp)
	ids, data := src.Add(20_000)
	owner, reader := options(ownerID), options(readerID)
	owner.Direct, owner.Metrics = direct, metrics.NewSet()
	m, log := metrics.NewSet(), slog.New(slog.DiscardHandler)
	reader.Direct, reader.Metrics = direct, m
	_, peer := listenWith(t, owner, src, "tcp", "127.0.0.1")
	peers := shuffle.NewPeers(shuffle.PeersOptions{DaemonID: readerID, Transports: []shuffle.Transport{tcp.New(reader)}}, m, log)
	defer peers.Close()
	fetcher := shuffle.NewFetcher(peers, shuffle.FetchOptions{EagerBlock: 16 << 10, EagerMax: 256 << 10, Piece: 4 << 20, Window: 8}, m, log)
	arena := mempool.NewArena(mempool.ArenaOptions{Backing: mempool.Heap{}, Budget: mempool.NewBudget(4 << 20), Purpose: "test", RegionSize: 4 << 20, Max: 4 << 20})
	defer func() { _ = arena.Close() }()
	lease, ok := arena.TryAlloc(1) // so that there is memory to spare from the first on
	if !ok {
		t.Fatal("no memory")
	}
	lease.Release()
	sink := byWay{make(chan string, 1)}
	for i := range 3 {
		fetcher.Fetch(t.Context(), &shuffle.FetchRequest{App: anApp, Peer: peer, Blocks: ids, Arena: arena}, sink)
		by, got, _ := bytes.Cut([]byte(<-sink.got), []byte(" "))
		if string(by) != transporttest.DirectName || !bytes.Equal(got, data[0]) {
			t.Errorf("fetch %d came by %s, with %d of %d bytes, or others", i, by, len(got), len(data[0]))
		}
	}
	if n := direct.Count(); n.Dials != 1 || n.Reads != 3 {
		t.Errorf("%+v", n)
	}
}
