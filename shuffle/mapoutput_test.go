package shuffle

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"pgregory.net/rapid"

	"weft/internal/metrics"
)

// node is a daemon's serving side, with an executor and its directory.
type node struct {
	*Service
	t        testing.TB
	metrics  *metrics.Set
	registry *Registry
	app      App
	dir      string
	executor *Executor
}

func newNode(t testing.TB, opts RegistryOptions, owner Owner) *node {
	t.Helper()
	m := metrics.NewSet()
	n := &node{t: t, metrics: m, app: App{ID: "app-1", Token: [32]byte{1}}, dir: t.TempDir()}
	n.registry = NewRegistry(opts, m, slog.New(slog.NewTextHandler(io.Discard, nil)))
	n.Service = NewService(n.registry)
	var err error
	n.executor, err = n.registry.Join(n.app, "1", uint32(os.Getuid()), []string{n.dir}, owner)
	must(t, err)
	t.Cleanup(n.executor.Leave)
	return n
}

// commit writes a map output as Spark does, and registers it.
func (n *node) commit(shuffle uint32, mapID uint64, parts ...[]byte) MapOutput {
	n.t.Helper()
	lengths := make([]int64, len(parts))
	for i, part := range parts {
		lengths[i] = int64(len(part))
	}
	indexBytes, _ := indexFile(lengths...)
	o := MapOutput{
		Shuffle: shuffle, Map: mapID, Partitions: uint32(len(parts)),
		Data:  filepath.Join(n.dir, "0c", fmt.Sprintf("shuffle_%d_%d_0.data", shuffle, mapID)),
		Index: filepath.Join(n.dir, "30", fmt.Sprintf("shuffle_%d_%d_0.index", shuffle, mapID)),
	}
	for path, content := range map[string][]byte{o.Data: bytes.Join(parts, nil), o.Index: indexBytes} {
		must(n.t, os.MkdirAll(filepath.Dir(path), 0o700))
		must(n.t, os.WriteFile(path, content, 0o600))
	}
	must(n.t, n.executor.RegisterMapOutput(o))
	return o
}

func (n *node) locateBlocks(ids ...BlockID) []Found {
	n.t.Helper()
	return n.locateEager(0, 0, ids...)
}

// locateEager asks for blocks of which the reader takes so many bytes each and all together with the answer.
func (n *node) locateEager(eagerBlock, eagerBytes int, ids ...BlockID) []Found {
	n.t.Helper()
	found, err := n.Locate(context.Background(), &LocateRequest{App: n.app, Executor: "1", Blocks: ids, EagerBlock: eagerBlock, EagerBytes: eagerBytes})
	must(n.t, err)
	if len(found) != len(ids) {
		n.t.Fatalf("%d answers for %d blocks", len(found), len(ids))
	}
	return found
}

// content reads a found block, compares it with its checksum and closes it.
func content(f Found) ([]byte, error) {
	if f.Err != nil {
		return nil, f.Err
	}
	if f.Close != nil {
		defer f.Close()
	}
	data := make([]byte, f.Length)
	if f.Length > 0 {
		if err := f.ReadAt(data, 0); err != nil {
			return nil, err
		}
	} else if f.File != nil || f.Mem != nil || f.Close != nil {
		return nil, fmt.Errorf("an empty block holds something: %+v", f)
	}
	if f.Checked && f.CRC != Checksum(data) {
		return nil, fmt.Errorf("checksum %08x, bytes have %08x", f.CRC, Checksum(data))
	}
	return data, nil
}

func (n *node) expect(f Found, want []byte) {
	n.t.Helper()
	if got, err := content(f); err != nil || !bytes.Equal(got, want) {
		n.t.Fatalf("got %d bytes, not %d: %v", len(got), len(want), err)
	}
}

func (n *node) expectReason(f Found, want Reason) {
	n.t.Helper()
	if f.Err == nil {
		f.Close()
		n.t.Fatalf("served %d bytes, where %s was due", f.Length, want)
	}
	if f.Err.Reason != want || f.Err.Detail == "" {
		n.t.Fatalf("%v, where %s was due", f.Err, want)
	}
}

func reduces(shuffle uint32, mapID uint64, start, end uint32) BlockID {
	return BlockID{Shuffle: shuffle, Map: mapID, ReduceStart: start, ReduceEnd: end}
}

func randomBytes(seed uint64, n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)}).Read(data)
	return data
}

func TestServesAnyRequest(t *testing.T) {
	n := newNode(t, RegistryOptions{FilesMax: 3, LayoutBytes: 3000}, nil)
	mapID := uint64(0)
	rapid.Check(t, func(rt *rapid.T) {
		outputs := make([][][]byte, rapid.IntRange(1, 4).Draw(rt, "map outputs"))
		first := mapID
		for i := range outputs {
			for p := range rapid.IntRange(1, 70).Draw(rt, "partitions") {
				size := rapid.SampledFrom([]int{0, 0, 1, 30, 1500, len(readBuffer{}) + 1}).Draw(rt, "size")
				if size > 2000 && p > 0 {
					size = 0
				}
				outputs[i] = append(outputs[i], randomBytes(uint64(p), size))
			}
			n.commit(1, mapID, outputs[i]...)
			mapID++
		}
		for range 3 {
			var ids []BlockID
			var want [][]byte
			for range rapid.IntRange(1, 40).Draw(rt, "blocks") {
				i := rapid.IntRange(0, len(outputs)-1).Draw(rt, "output")
				start := rapid.IntRange(0, len(outputs[i])-1).Draw(rt, "start")
				end := rapid.IntRange(start+1, len(outputs[i])).Draw(rt, "end")
				ids = append(ids, reduces(1, first+uint64(i), uint32(start), uint32(end)))
				want = append(want, bytes.Join(outputs[i][start:end], nil))
			}
			most, room := rapid.SampledFrom([]int{0, 1, 40, 2000, 1 << 20}).Draw(rt, "eager block"), rapid.SampledFrom([]int{0, 50, 4000, 1 << 20}).Draw(rt, "eager bytes")
			for i, f := range n.locateEager(most, room, ids...) {
				if !f.Checked {
					rt.Fatalf("%v has no checksum", ids[i])
				}
				n.expect(f, want[i])
			}
		}
	})
	if open := n.registry.outputs.files.open; open > 3 {
		t.Errorf("%d files are open, at most 3 should be", open)
	}
	if held := n.registry.outputs.layouts.bytes; held > 3000 && len(n.registry.outputs.layouts.of) > 1 {
		t.Errorf("layouts hold %d bytes, at most 3000 should be", held)
	}
}

func TestConcurrentRequests(t *testing.T) {
	n := newNode(t, RegistryOptions{FilesMax: 2}, nil)
	var parts [][]byte
	for p := range 50 {
		parts = append(parts, randomBytes(uint64(p), p*100))
	}
	for m := range uint64(4) {
		n.commit(1, m, parts...)
	}
	var readers sync.WaitGroup
	for r := range 8 {
		readers.Go(func() {
			random := rand.New(rand.NewPCG(uint64(r), 0))
			for range 30 {
				m, start := random.Uint64N(4), random.Uint32N(50)
				end := start + 1 + random.Uint32N(50-start)
				found, err := n.Locate(context.Background(), &LocateRequest{App: n.app, Executor: "1", Blocks: []BlockID{
					reduces(1, m, start, end), reduces(1, m, 7, 8), reduces(1, 3-m, start, end),
				}})
				if err != nil {
					t.Error(err)
					return
				}
				for i, want := range [][]byte{bytes.Join(parts[start:end], nil), parts[7], bytes.Join(parts[start:end], nil)} {
					if got, err := content(found[i]); err != nil || !bytes.Equal(got, want) {
						t.Errorf("block %d: %d bytes, %v", i, len(got), err)
					}
				}
			}
		})
	}
	readers.Wait()
}

func TestBlocksThatAMapOutputDoesNotHave(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	n.commit(1, 1, []byte("a"), []byte("b"))
	found := n.locateBlocks(reduces(1, 1, 0, 1), reduces(1, 1, 2, 3), reduces(1, 1, 1, 3), reduces(1, 1, 0, MaxReduceID), reduces(1, 1, 0, 2))
	n.expect(found[0], []byte("a"))
	for _, f := range found[1:4] {
		n.expectReason(f, ReasonNotFound)
	}
	n.expect(found[4], []byte("ab"))
}

func TestMapOutputWithoutBytes(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	o := n.commit(1, 1, nil, nil, nil)
	must(t, os.Remove(o.Data))
	for _, f := range n.locateBlocks(reduces(1, 1, 0, 1), reduces(1, 1, 1, 3)) {
		if f.Err != nil || !f.Checked {
			t.Fatalf("%+v", f)
		}
		n.expect(f, nil)
	}
}

func TestOffsetsBeyond4GiB(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	o := n.commit(1, 1, nil, []byte("the end"))
	const hole = 5 << 30 // sparse: it takes no space, and nobody asks for it
	indexBytes, _ := indexFile(hole, 7, hole)
	must(t, os.WriteFile(o.Index, indexBytes, 0o600))
	must(t, os.Truncate(o.Data, 2*hole+7))
	data, err := os.OpenFile(o.Data, os.O_WRONLY, 0)
	must(t, err)
	_, err = data.WriteAt([]byte("the end"), hole)
	must(t, err)
	must(t, data.Close())
	o.Partitions = 3
	must(t, n.executor.RegisterMapOutput(o))
	found := n.locateBlocks(reduces(1, 1, 1, 2))
	if found[0].Offset != hole {
		t.Errorf("offset %d", found[0].Offset)
	}
	n.expect(found[0], []byte("the end"))
	if got := n.registry.Status()[0].MapOutputBytes; got != 2*hole+7 {
		t.Errorf("%d bytes are registered", got)
	}
}

func TestWithoutChecksums(t *testing.T) {
	n := newNode(t, RegistryOptions{SkipChecksums: true}, nil)
	n.commit(1, 1, []byte("abc"))
	found := n.locateBlocks(reduces(1, 1, 0, 1))
	if found[0].Checked {
		t.Error("a checksum was computed")
	}
	n.expect(found[0], []byte("abc"))
}

func TestGauges(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	n.commit(1, 1, []byte("abc"))
	n.commit(1, 2, []byte("abc"))
	n.commit(1, 2, []byte("abc")) // once more: the same one
	n.commit(2, 1, []byte("abc"))
	open := n.locateBlocks(reduces(1, 1, 0, 1), reduces(2, 1, 0, 1))
	expect := func(outputs, files float64) {
		t.Helper()
		if o, f := testutil.ToFloat64(n.metrics.MapOutputs), testutil.ToFloat64(n.metrics.OpenFiles); o != outputs || f != files {
			t.Errorf("%v map outputs and %v files, not %v and %v", o, f, outputs, files)
		}
	}
	expect(3, 2)
	n.executor.UnregisterShuffle(1)
	expect(1, 2) // one is still being served
	n.expect(open[0], []byte("abc"))
	expect(1, 1)
	n.expect(open[1], []byte("abc"))
	expect(1, 1) // idle
	n.executor.Leave()
	expect(0, 0)
}

// Whoever knows the data files, as a device does, is told before one is closed: when its shuffle ends and none of its blocks is being served.
func TestClosingTellsOfEndedShuffles(t *testing.T) {
	told := 0
	n := newNode(t, RegistryOptions{Closing: func(f *os.File) {
		if _, err := f.Stat(); err != nil {
			t.Errorf("the file is closed already: %v", err)
		}
		told++
	}}, nil)
	expect := func(want int) {
		t.Helper()
		if told != want {
			t.Errorf("told of %d files, want %d", told, want)
		}
	}
	n.commit(1, 1, []byte("abc"))
	n.commit(1, 2, []byte("def"))
	n.commit(2, 1, []byte("ghi"))
	open := n.locateBlocks(reduces(1, 1, 0, 1), reduces(1, 2, 0, 1), reduces(2, 1, 0, 1))
	n.expect(open[0], []byte("abc"))
	n.expect(open[2], []byte("ghi"))
	expect(0) // they stay open for who asks next
	n.executor.UnregisterShuffle(1)
	expect(1)
	n.expect(open[1], []byte("def"))
	expect(2)
	n.executor.Leave()
	expect(3)
}
