package transporttest

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"weft/shuffle"
)

// Link is a connection to test. Close and the end of the test end it.
type Link struct {
	Conn shuffle.Conn
	Kill func() // makes the peer die; nil where there is none that could

	Memory func(n int) []byte // n zero bytes to receive into, for as long as the test; nil: any will do
	Pinned bool               // of a block that was located, what its file's pages hold is read although the file was truncated; its checksum tells
}

// Factory makes a connection to the blocks of src. What else it opens ends with the test.
type Factory func(t *testing.T, src shuffle.Source) Link

// Run tests the connections that f makes.
func Run(t *testing.T, f Factory) {
	tests := []struct {
		name string
		test func(*testing.T, *Source, caller)
	}{
		{"EagerInOrder", testEager},
		{"EagerAsManyAsFit", testEagerFit},
		{"NoEagerMemory", testNoEager},
		{"EmptyBlocks", testEmpty},
		{"RangesInOrder", testRanges},
		{"ReadsInBatches", testBatch},
		{"ErrorsPerBlock", testBlockErrors},
		{"SourceFails", testSourceFails},
		{"AnotherToken", testAnotherToken},
		{"NamedBlocks", testNamed},
		{"BadReads", testBadReads},
		{"HandlesAreGivenUp", testRelease},
		{"GivenUpWhileReading", testReleaseReading},
		{"Truncated", testTruncated},
		{"TruncatedMeanwhile", testTruncatedMeanwhile},
		{"SmallPassLarge", testInterleaved},
		{"Concurrent", testConcurrent},
		{"RandomSizes", testRandom},
		{"CloseWhileLocating", testCloseLocating},
		{"CloseWhileReading", testCloseReading},
		{"AfterClose", testAfterClose},
		{"BeginWhileClosing", testBeginWhileClosing},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			src := NewSource(t)
			l := f(t, src)
			t.Cleanup(func() {
				if err := l.Conn.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
			tt.test(t, src, caller{t, l.Conn, l})
		})
	}
	t.Run("PeerDies", func(t *testing.T) { testPeerDies(t, f) })
}

func testEager(t *testing.T, src *Source, c caller) {
	ids, data := src.Add(100, 200, 5000, 300)
	l := c.locate(ids, 1000, 400)
	got := l.located(t)
	off := 0
	for i, b := range got {
		if i == 2 {
			if b.Handle == 0 || b.Length != 5000 {
				t.Errorf("a block above EagerBlock: %+v", b)
			}
			continue
		}
		if b.Handle != 0 || b.EagerOff != off || b.Length != int64(len(data[i])) {
			t.Errorf("block %d: %+v, want it at %d of the eager memory", i, b, off)
		}
		if !bytes.Equal(l.eager[off:off+len(data[i])], data[i]) {
			t.Errorf("block %d: other bytes", i)
		}
		off += len(data[i])
	}
	if rest := l.eager[off:]; !bytes.Equal(rest, make([]byte, len(rest))) {
		t.Error("memory behind the eager blocks was written to")
	}
	c.conn.Release([]uint64{got[2].Handle})
}

func testEagerFit(t *testing.T, src *Source, c caller) {
	ids, data := src.Add(100, 100, 100, 50)
	got := c.locate(ids, 250, 400).located(t)
	if got[0].Handle != 0 || got[1].Handle != 0 || got[2].Handle == 0 || got[3].Handle != 0 || got[3].EagerOff != 200 {
		t.Errorf("as many as fit: %+v", got)
	}
	same(t, c.fetch(ids, 250, 400), data)
}

func testNoEager(t *testing.T, src *Source, c caller) {
	ids, data := src.Add(100, 1, 70000)
	for _, b := range c.locate(ids, 0, 0).located(t) {
		if b.Handle == 0 {
			t.Errorf("%+v without memory for it", b)
		}
	}
	same(t, c.fetch(ids, 0, 1<<20), data)
}

func testEmpty(t *testing.T, src *Source, c caller) {
	ids, data := src.Add(0, 0, 10)
	for _, eager := range []int{0, 100} {
		got := c.locate(ids, eager, eager).located(t)
		if got[0].Handle != 0 || got[1].Handle != 0 || got[0].Length != 0 {
			t.Errorf("empty blocks: %+v", got)
		}
		same(t, c.fetch(ids, eager, eager), data)
	}
	if got := c.locate(nil, 0, 0).located(t); len(got) != 0 {
		t.Errorf("no blocks: %+v", got)
	}
}

func testRanges(t *testing.T, src *Source, c caller) {
	ids, data := src.Add(100000, 50000, 30000, 7)
	got := c.locate(ids, 0, 0).located(t)
	ranges := []shuffle.Range{
		{Handle: got[2].Handle, Offset: 10, Length: 29990},
		{Handle: got[0].Handle, Offset: 0, Length: 1},
		{Handle: got[1].Handle, Offset: 49999, Length: 1},
		{Handle: got[3].Handle, Offset: 3, Length: 0},
		{Handle: got[0].Handle, Offset: 1, Length: 99999},
		{Handle: got[3].Handle, Offset: 0, Length: 7},
	}
	want := bytes.Join([][]byte{data[2][10:], data[0][:1], data[1][49999:], data[0][1:], data[3]}, nil)
	mem := c.memory(len(want) + 64)
	fill(mem)
	if !bytes.Equal(c.read(mem[32:32+len(want):32+len(want)], nil, ranges...).bytes(t), want) {
		t.Error("other bytes")
	}
	if !bytes.Equal(append(mem[:32:32], mem[32+len(want):]...), bytes.Repeat([]byte{poison}, 64)) {
		t.Error("memory beside dst was written to")
	}
	c.read(nil, nil).bytes(t)
}

// Reads that are asked for together end each for itself.
func testBatch(t *testing.T, src *Source, c caller) {
	ids, data := src.Add(300000, 1000)
	got := c.locate(ids, 0, 0).located(t)
	whole := shuffle.Range{Handle: got[0].Handle, Length: 300000}
	all := c.reads(
		shuffle.ReadRequest{Ranges: []shuffle.Range{whole}, Dst: c.memory(300000)},
		shuffle.ReadRequest{Ranges: []shuffle.Range{whole}, Dst: c.memory(10)}, // shorter than its ranges
		shuffle.ReadRequest{Ranges: []shuffle.Range{{Handle: 1 << 40, Length: 10}}, Dst: c.memory(10)},
		shuffle.ReadRequest{Ranges: []shuffle.Range{whole}, Dst: c.memory(300000)},
		shuffle.ReadRequest{Ranges: []shuffle.Range{{Handle: got[1].Handle, Length: 1000}}, Release: []uint64{got[1].Handle}, Dst: c.memory(1000)},
	)
	for i, want := range map[int][]byte{0: data[0], 3: data[0], 4: data[1]} {
		if !bytes.Equal(all[i].bytes(t), want) {
			t.Errorf("read %d: other bytes", i)
		}
	}
	for _, i := range []int{1, 2} {
		wait(t, all[i].ended, "Read")
		blockError(t, all[i].err)
	}
	held(t, src, 1)
	c.conn.Release([]uint64{got[0].Handle})
	held(t, src, 0)
	ids, data = src.Add(10)
	same(t, c.fetch(ids, 0, 0), data)
}

func testBlockErrors(t *testing.T, src *Source, c caller) {
	ids, data := src.Add(100, 100)
	src.AddError(ID(5), shuffle.Errorf(shuffle.ReasonBadMapOutput, "index\xffbroken"))
	ids = []shuffle.BlockID{ids[0], ID(5), ID(6), ids[1]}
	l := c.locate(ids, 1000, 1000)
	got := l.located(t)
	for i, want := range []shuffle.Reason{shuffle.ReasonNone, shuffle.ReasonBadMapOutput, shuffle.ReasonNotFound, shuffle.ReasonNone} {
		switch {
		case want == shuffle.ReasonNone && got[i].Err != nil:
			t.Errorf("block %d: %v", i, got[i].Err)
		case want != shuffle.ReasonNone && (got[i].Err == nil || got[i].Err.Reason != want || got[i].Err.Detail == ""):
			t.Errorf("block %d: %v, want %v and why", i, got[i].Err, want)
		}
	}
	if got[3].EagerOff != 100 || !bytes.Equal(l.eager[100:200], data[1]) {
		t.Errorf("a block behind those that failed: %+v", got[3])
	}
}

func testSourceFails(t *testing.T, src *Source, c caller) {
	ids, _ := src.Add(100, 100)
	src.Fail(fmt.Errorf("no such application: %w", shuffle.Errorf(shuffle.ReasonPeerRefused, "wrong token")))
	for i, b := range c.locate(ids, 1000, 1000).located(t) {
		if b.Err == nil || b.Err.Reason != shuffle.ReasonPeerRefused {
			t.Errorf("block %d: %+v, want the source's reason", i, b)
		}
	}
	src.Fail(errors.New("a bug"))
	if b := c.locate(ids, 1000, 1000).located(t)[0]; b.Err == nil || b.Err.Reason != shuffle.ReasonInternal {
		t.Errorf("%+v, want an internal error", b)
	}
}

// A token opens its application's blocks alone, and another one spoils nothing for who has it.
func testAnotherToken(t *testing.T, src *Source, c caller) {
	ids, data := src.Add(100, 5000)
	app := shuffle.App{ID: "another", Token: [shuffle.TokenLen]byte{1}}
	src.Admit(app)
	wrong := app
	wrong.Token[31]++
	for range 2 {
		c.refused(wrong, ids, shuffle.ReasonPeerRefused)
		c.refused(shuffle.App{ID: app.ID}, ids, shuffle.ReasonPeerRefused)
		c.refused(shuffle.App{ID: GoneApp}, ids, shuffle.ReasonPeerRefused, shuffle.ReasonOwnerGone)
		for i, b := range c.locateAs(app, ids, 1000, 1000).located(t) {
			if b.Err != nil || b.Length != int64(len(data[i])) {
				t.Errorf("block %d by the right token: %+v", i, b)
			}
			c.conn.Release([]uint64{b.Handle})
		}
	}
	same(t, c.fetch(ids, 1000, 1000), data)
	held(t, src, 0)
}

func testNamed(t *testing.T, src *Source, c caller) {
	batch := shuffle.BlockID{Shuffle: 3, Map: 1 << 62, ReduceStart: 5, ReduceEnd: 500}
	ids := []shuffle.BlockID{ID(1), batch, {Name: "broadcast_0_piece0"}, {Name: "rdd_12_3"}}
	var data [][]byte
	for i, id := range ids {
		data = append(data, Bytes(i, 1000+i))
		src.AddMem(id, data[i])
	}
	same(t, c.fetch(ids, 1500, 2000), data)
	l := c.locate([]shuffle.BlockID{ids[2], ids[0]}, 1000, 1000)
	wait(t, l.ended, "Locate")
	blockError(t, l.err)
}

func testBadReads(t *testing.T, src *Source, c caller) {
	ids, data := src.Add(5000, 5000)
	got := c.locate(ids, 0, 0).located(t)
	h := got[0].Handle
	for _, tt := range []struct {
		name  string
		bytes int
		r     shuffle.Range
	}{
		{"unknown handle", 10, shuffle.Range{Handle: 1 << 40, Length: 10}},
		{"handle 0", 10, shuffle.Range{Length: 10}},
		{"behind the end", 10, shuffle.Range{Handle: h, Offset: 4991, Length: 10}},
		{"far behind the end", 10, shuffle.Range{Handle: h, Offset: 1<<63 - 5, Length: 10}},
		{"negative offset", 10, shuffle.Range{Handle: h, Offset: -1, Length: 10}},
		{"less memory", 9, shuffle.Range{Handle: h, Length: 10}},
		{"more memory", 11, shuffle.Range{Handle: h, Length: 10}},
	} {
		r := c.read(c.memory(tt.bytes), nil, shuffle.Range{Handle: got[1].Handle, Length: 0}, tt.r)
		wait(t, r.ended, tt.name)
		blockError(t, r.err)
	}
	same(t, c.fetch(ids, 0, 0), data)
}

// held waits until the source's blocks held open are n.
func held(t testing.TB, src *Source, n int) {
	t.Helper()
	for end := time.Now().Add(patience); src.Open() != n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d blocks are held open, want %d", src.Open(), n)
		}
	}
}

func testRelease(t *testing.T, src *Source, c caller) {
	ids, data := src.Add(5000, 5000, 10, 5000)
	got := c.locate(ids, 100, 100).located(t)
	held(t, src, 3) // those with a handle
	whole := func(i int) shuffle.Range { return shuffle.Range{Handle: got[i].Handle, Length: got[i].Length} }
	if !bytes.Equal(c.read(c.memory(5000), []uint64{got[0].Handle}, whole(0)).bytes(t), data[0]) {
		t.Error("other bytes")
	}
	held(t, src, 2)
	r := c.read(c.memory(5000), nil, whole(0))
	wait(t, r.ended, "Read of a handle given up")
	blockError(t, r.err)
	c.conn.Release([]uint64{got[1].Handle, 1 << 50})
	held(t, src, 1)
	if err := c.conn.Close(); err != nil {
		t.Error(err)
	}
	held(t, src, 0)
}
