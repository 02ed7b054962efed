package daemon

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"weft/internal/leakcheck"
	"weft/internal/metrics"
	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
	"weft/internal/status"
	"weft/jvmbridge/bridgetest"
)

// pair is two daemons with an executor each.
func pair(t *testing.T) (a, b *running, reader, owner *executor) {
	t.Helper()
	leakcheck.Check(t)
	a, b = startDaemon(t, testOptions(t)), startDaemon(t, testOptions(t))
	return a, b, join(t, a.BridgeSocket, "app", "1"), join(t, b.BridgeSocket, "app", "2")
}

// sizes are of blocks that come eagerly, are read together, by themselves, in pieces, and have no bytes.
var sizes = []int{10, 0, 32 << 10, 32<<10 + 1, 100, 600 << 10, 600 << 10, 0, 3<<20 + 7, 1, 1 << 20}

func TestFetchAcrossDaemons(t *testing.T) {
	a, b, reader, owner := pair(t)
	want := owner.mapOutput(t, 3, 7, sizes...)

	got := reader.fetch(t, reader.shuffled(owner, 3, 7, len(want)))
	wantBlocks(t, got, want, "tcp")
	if leases := a.status(t).Sessions[0].Receive.Leases; leases == 0 {
		t.Error("no lease is out while the blocks are held")
	}
	reader.release(t, got)
	a.wantNoLeases(t)

	total := int64(len(bytes.Join(want, nil)))
	wantTransfer(t, a.status(t), status.Transfer{Transport: "tcp", Direction: metrics.Received, Blocks: int64(len(want)), Bytes: total})
	wantTransfer(t, b.status(t), status.Transfer{Transport: "tcp", Direction: metrics.Served, Blocks: int64(len(want)), Bytes: total})
	wantPeer := status.Peer{DaemonID: b.status(t).DaemonID, Address: fmt.Sprintf("127.0.0.1:%d", b.PeerPort), Transport: "tcp"}
	if peers := a.status(t).Peers; !slices.Contains(peers, wantPeer) {
		t.Errorf("peers %+v, want among them %+v", peers, wantPeer)
	}
}

func wantTransfer(t *testing.T, s *status.Status, want status.Transfer) {
	t.Helper()
	for _, got := range s.Transfers {
		if got == want {
			return
		}
	}
	t.Errorf("transfers %+v, want among them %+v", s.Transfers, want)
}

func TestRangesOfReduces(t *testing.T) {
	_, _, reader, owner := pair(t)
	blocks := owner.mapOutput(t, 0, 1, sizes...)
	m := reader.from(owner)
	addRange(m, 0, 1, 0, uint32(len(sizes)))
	addRange(m, 0, 1, 4, 6)
	addRange(m, 0, 1, 1, 2)
	got := reader.fetch(t, m)
	wantBlocks(t, got, [][]byte{bytes.Join(blocks, nil), bytes.Join(blocks[4:6], nil), {}}, "tcp")
	reader.release(t, got)
}

// A block larger than the arena passes through it in pieces.
func TestPieces(t *testing.T) {
	a, _, reader, owner := pair(t)
	want := owner.mapOutput(t, 0, 1, 100, 40<<20)
	m := reader.shuffled(owner, 0, 1, len(want))
	m.Delivery = bridgepb.Delivery_DELIVERY_PIECES
	got := reader.fetch(t, m)
	wantBlocks(t, got, want, "tcp")
	if got[1].Pieces < 2 {
		t.Errorf("%d pieces", got[1].Pieces)
	}
	a.wantNoLeases(t)
	if r := a.status(t).Sessions[0].Receive; r.AllocatedBytes > r.MaxBytes {
		t.Errorf("arena after: %+v", r)
	}
}

// What the executor has in memory is asked for anew each time.
func TestUpcalls(t *testing.T) {
	_, b, reader, owner := pair(t)
	small, large := bytesOf(1000, 1), bytesOf(3<<20, 2)
	serve := func() {
		owner.Serve(func(name string) bridgetest.Answer {
			switch name {
			case "broadcast_1_piece0":
				return bridgetest.Answer{Inline: bytes.Clone(small)}
			case "test_0weightBytes0", "shuffle_5_6_7":
				return bridgetest.Answer{Held: bytes.Clone(large)}
			case "rdd_1_1":
				return bridgetest.Answer{File: &bridgepb.FileRange{Path: owner.data(0, 1), Offset: 2, Length: 5}}
			case "secret":
				return bridgetest.Answer{File: &bridgepb.FileRange{Path: "/etc/passwd", Length: 5}}
			}
			return bridgetest.Answer{}
		})
	}
	onDisk := owner.mapOutput(t, 0, 1, 10)[0]
	names := []string{"broadcast_1_piece0", "test_0weightBytes0", "rdd_1_1"}
	for round := range 2 {
		small[0], large[0] = byte(round), byte(round)
		serve()
		m := reader.named(owner, names...)
		addRange(m, 5, 6, 7, 8) // a map output that nobody registered
		got := reader.fetch(t, m)
		wantBlocks(t, got, [][]byte{large, small, large, onDisk[2:7]}, "tcp")
		reader.release(t, got)
	}
	wantReason(t, reader.fetch(t, reader.named(owner, "rdd_9_9")), blockpb.Reason_REASON_NOT_FOUND)
	if got := reader.fetch(t, reader.named(owner, "secret")); got[0].Reason == 0 {
		t.Error("a file outside of the executor's directories was served")
	}
	eventually(t, "upcall memory is given back", func() bool {
		return owner.Held() == 0 && b.status(t).Sessions[0].Upcall.Leases == 0
	})
}

// Executors of one node fetch from each other without a connection.
func TestOneNode(t *testing.T) {
	leakcheck.Check(t)
	a := startDaemon(t, testOptions(t))
	reader, owner := join(t, a.BridgeSocket, "app", "1"), join(t, a.BridgeSocket, "app", "2")
	want := owner.mapOutput(t, 0, 0, sizes...)
	got := reader.fetch(t, reader.shuffled(owner, 0, 0, len(want)))
	wantBlocks(t, got, want, "mem")
	reader.release(t, got)
}

// What does not fit while the executor holds its leases is left to Spark, and comes when they are released.
func TestArenaFull(t *testing.T) {
	leakcheck.Check(t)
	opts := testOptions(t)
	opts.MemoryWait = 1
	a, b := startDaemon(t, opts), startDaemon(t, testOptions(t))
	reader, owner := join(t, a.BridgeSocket, "app", "1"), join(t, b.BridgeSocket, "app", "2")
	want := owner.mapOutput(t, 0, 0, 3<<20, 3<<20, 3<<20, 3<<20, 3<<20, 3<<20, 3<<20, 3<<20)
	got := reader.fetch(t, reader.shuffled(owner, 0, 0, len(want)))
	var came, refused int
	for i, block := range got {
		switch {
		case block.Reason == blockpb.Reason_REASON_NO_SPACE:
			refused++
		case bytes.Equal(block.Bytes, want[i]):
			came++
		default:
			t.Errorf("block %d: %v: %s", i, block.Reason, block.Detail)
		}
	}
	if came < 1 || refused < 1 {
		t.Errorf("%d came, %d had no space", came, refused)
	}
	reader.release(t, got)
	again := reader.fetch(t, reader.shuffled(owner, 0, 0, 1))
	wantBlocks(t, again, want[:1], "tcp")
	if large := owner.mapOutput(t, 0, 1, 20<<20); len(large) == 1 {
		wantReason(t, reader.fetch(t, reader.shuffled(owner, 0, 1, 1)), blockpb.Reason_REASON_TOO_LARGE)
	}
}
