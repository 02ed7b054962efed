package daemon

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
	"weft/jvmbridge/bridgetest"
)

// executor is the JVM of an executor, with a local directory of its own.
type executor struct {
	*bridgetest.Client
	name string
	dir  string
}

// join connects an executor to the daemon at this bridge socket.
func join(t testing.TB, socket, app, name string) *executor {
	t.Helper()
	e := &executor{name: name, dir: t.TempDir()}
	var err error
	if e.Client, err = bridgetest.Dial(socket, bridgetest.Hello(app, name, e.dir)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// settle returns when the daemon has handled every frame sent before.
func (e *executor) settle(t testing.TB) {
	t.Helper()
	e.fetch(t, e.named(e, "no_such_block"))
}

// bytesOf are n bytes that look random and are the same every time.
func bytesOf(n int, seed uint64) []byte {
	b := make([]byte, n+8)
	r := rand.NewPCG(seed, uint64(n))
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(b[i:], r.Uint64())
	}
	return b[:n]
}

// mapOutput commits a map output with one block for each size and registers it.
func (e *executor) mapOutput(t testing.TB, shuffle uint32, mapID uint64, sizes ...int) [][]byte {
	t.Helper()
	blocks := make([][]byte, len(sizes))
	index := make([]byte, 8, 8*(len(sizes)+1))
	end := 0
	for i, size := range sizes {
		blocks[i] = bytesOf(size, mapID<<16|uint64(i))
		end += size
		index = binary.BigEndian.AppendUint64(index, uint64(end))
	}
	if err := os.WriteFile(e.data(shuffle, mapID), bytes.Join(blocks, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	indexPath := e.data(shuffle, mapID) + ".index"
	if err := os.WriteFile(indexPath, index, 0o600); err != nil {
		t.Fatal(err)
	}
	e.send(t, &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_RegisterMapOutput{RegisterMapOutput: &bridgepb.RegisterMapOutput{
		ShuffleId: shuffle, MapId: mapID, DataPath: e.data(shuffle, mapID), IndexPath: indexPath, NumPartitions: uint32(len(sizes)),
	}}})
	e.settle(t)
	return blocks
}

// data is the path of a map output's data file.
func (e *executor) data(shuffle uint32, mapID uint64) string {
	return filepath.Join(e.dir, fmt.Sprintf("shuffle_%d_%d_0.data", shuffle, mapID))
}

func (e *executor) send(t testing.TB, m *bridgepb.ToDaemon) {
	t.Helper()
	if err := e.Send(m); err != nil {
		t.Fatal(err)
	}
}

// from is a request to the owner's daemon, without blocks yet.
func (e *executor) from(owner *executor) *bridgepb.Fetch {
	return &bridgepb.Fetch{
		PeerAddress: []string{"127.0.0.1"}, PeerPort: owner.Welcome.GetPeerPort(), PeerDaemonId: owner.Welcome.GetDaemonId(),
		ExecutorId: owner.name, Blocks: &blockpb.Blocks{}, TimeoutMs: uint32(patience.Milliseconds()),
	}
}

// shuffled asks for all blocks of a map output with n partitions.
func (e *executor) shuffled(owner *executor, shuffle uint32, mapID uint64, n int) *bridgepb.Fetch {
	m := e.from(owner)
	for i := range uint32(n) {
		addRange(m, shuffle, mapID, i, i+1)
	}
	return m
}

func addRange(m *bridgepb.Fetch, shuffle uint32, mapID uint64, start, end uint32) {
	b := m.Blocks
	b.ShuffleId = append(b.ShuffleId, shuffle)
	b.MapId = append(b.MapId, mapID)
	b.ReduceStart = append(b.ReduceStart, start)
	b.ReduceEnd = append(b.ReduceEnd, end)
}

// named asks for blocks by name.
func (e *executor) named(owner *executor, names ...string) *bridgepb.Fetch {
	m := e.from(owner)
	m.Blocks.Name = names
	return m
}

// fetch fetches and waits for the end of every block.
func (e *executor) fetch(t testing.TB, m *bridgepb.Fetch) []bridgetest.Block {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	blocks, err := e.FetchAll(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	return blocks
}

// release gives back everything, and returns when the daemon has taken it.
func (e *executor) release(t testing.TB, blocks []bridgetest.Block) {
	t.Helper()
	if err := e.Release(blocks...); err != nil {
		t.Fatal(err)
	}
	e.settle(t)
}

// wantBlocks fails t unless the blocks came whole and by this transport.
func wantBlocks(t testing.TB, got []bridgetest.Block, want [][]byte, transport string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d blocks, want %d", len(got), len(want))
	}
	for i, b := range got {
		switch {
		case b.Reason != 0:
			t.Errorf("block %d failed: %v: %s", i, b.Reason, b.Detail)
		case !bytes.Equal(b.Bytes, want[i]):
			t.Errorf("block %d: %d bytes that are not the %d of its owner", i, len(b.Bytes), len(want[i]))
		case b.Transport != transport:
			t.Errorf("block %d came by %q, want %q", i, b.Transport, transport)
		}
	}
}

// wantReason fails t unless every block failed for this reason.
func wantReason(t testing.TB, got []bridgetest.Block, want blockpb.Reason) {
	t.Helper()
	for i, b := range got {
		if b.Reason != want || b.Detail == "" {
			t.Errorf("block %d: %v (%s), want %v", i, b.Reason, b.Detail, want)
		}
	}
}

// eventually polls for what another process or goroutine does in its own time.
func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s: not after %v", what, patience)
		}
	}
}
