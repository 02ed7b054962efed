package transporttest

import (
	"bytes"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"weft/shuffle"
)

func testTruncated(t *testing.T, src *Source, c caller) {
	_, data := src.Add(100, 100)
	whole := Bytes(9, 40000)
	src.AddFile(ID(9), whole)
	got := c.locate([]shuffle.BlockID{ID(9)}, 0, 0).located(t)
	if err := src.File.Truncate(30000); err != nil {
		t.Fatal(err)
	}
	r := c.read(c.memory(40000), nil, shuffle.Range{Handle: got[0].Handle, Length: 40000})
	wait(t, r.ended, "Read")
	if c.link.Pinned && r.err == nil {
		if !got[0].Checked { // the rest of the page in which the file ends now has become zeroes
			t.Error("a truncated file was delivered without a checksum to find that out by")
		}
	} else if be := blockError(t, r.err); be.Reason != shuffle.ReasonBadMapOutput {
		t.Errorf("%v, want %v", be, shuffle.ReasonBadMapOutput)
	}
	// Found before, cut when it is copied.
	eager := c.locate([]shuffle.BlockID{ID(0), ID(9), ID(1)}, 50000, 50000)
	b := eager.located(t)
	if b[1].Err == nil || b[1].Err.Reason != shuffle.ReasonBadMapOutput {
		t.Errorf("%+v, want %v", b[1], shuffle.ReasonBadMapOutput)
	}
	if b[2].Err != nil || !bytes.Equal(eager.eager[b[2].EagerOff:b[2].EagerOff+100], data[1]) {
		t.Errorf("a block behind the truncated one: %+v", b[2])
	}
}

// A read of a handle that is given up meanwhile is served, or not; the connection remains of use, and nothing stays open.
func testReleaseReading(t *testing.T, src *Source, c caller) {
	const size = 1 << 20
	ids, data := src.Add(size, 100)
	reads, mem := make([]*read, 6), c.memory(6*size)
	for range 20 {
		clear(mem)
		got := c.locate(ids[:1], 0, 0).located(t)
		for i := range reads {
			reads[i] = c.read(mem[i*size:(i+1)*size], nil, shuffle.Range{Handle: got[0].Handle, Length: size})
		}
		c.conn.Release([]uint64{got[0].Handle})
		for _, r := range reads {
			if wait(t, r.ended, "Read"); r.err != nil {
				blockError(t, r.err)
			} else if !bytes.Equal(r.dst, data[0]) {
				t.Fatal("other bytes")
			}
		}
		held(t, src, 0)
	}
	same(t, c.fetch(ids, 100, 100), data)
}

// Whatever comes of it, it is not wrong data.
func testTruncatedMeanwhile(t *testing.T, src *Source, c caller) {
	const size = 8 << 20
	want := Bytes(1, size)
	src.AddFile(ID(0), want)
	got := c.locate([]shuffle.BlockID{ID(0)}, 0, 0).located(t)
	reads := make([]*read, 4)
	for i := range reads {
		reads[i] = c.read(c.memory(size), nil, shuffle.Range{Handle: got[0].Handle, Length: size})
	}
	if err := src.File.Truncate(size / 2); err != nil {
		t.Fatal(err)
	}
	told := got[0].Checked // by the checksum
	for _, r := range reads {
		wait(t, r.ended, "Read")
		if r.err == nil && !bytes.Equal(r.dst, want) && !told {
			t.Error("a truncated file was delivered as if it were whole")
		}
	}
}

// A block read in pieces does not block others.
func testInterleaved(t *testing.T, src *Source, c caller) {
	const size, piece = 8 << 20, 256 << 10
	ids, data := src.Add(size, 100)
	got := c.locate(ids[:1], 0, 0).located(t)
	var large []*read
	dst := c.memory(size)
	for off := 0; off < size; off += piece {
		large = append(large, c.read(dst[off:off+piece], nil, shuffle.Range{Handle: got[0].Handle, Offset: int64(off), Length: piece}))
	}
	same(t, c.fetch(ids[1:], 100, 100), data[1:])
	for _, r := range large {
		r.bytes(t)
	}
	if !bytes.Equal(dst, data[0]) {
		t.Error("other bytes")
	}
}

func testConcurrent(t *testing.T, src *Source, c caller) {
	lengths := make([]int, 40)
	for i := range lengths {
		lengths[i] = i * i * 40
	}
	ids, data := src.Add(lengths...)
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 20 {
				from := (g*7 + i) % 30
				same(t, c.fetch(ids[from:from+10], 1000*i, 3000*g), data[from:from+10])
			}
		})
	}
	all.Wait()
	held(t, src, 0)
}

// Random blocks, random eager memory, random pieces, compared with the source.
func testRandom(t *testing.T, src *Source, c caller) {
	rng := rand.New(rand.NewPCG(3, 4)) //nolint:gosec // a test
	lengths := make([]int, 60)
	for i := range lengths {
		lengths[i] = rng.IntN(1 << rng.IntN(19))
	}
	ids, data := src.Add(lengths...)
	for round := range 30 {
		pick := rng.Perm(len(ids))[:rng.IntN(len(ids))]
		asked := make([]shuffle.BlockID, len(pick))
		for i, n := range pick {
			asked[i] = ids[n]
		}
		l := c.locate(asked, rng.IntN(100000), rng.IntN(20000))
		got := l.located(t)
		var handles []uint64
		for i, b := range got {
			want := data[pick[i]]
			if b.Err != nil || b.Length != int64(len(want)) {
				t.Fatalf("round %d, block %d: %+v, want %d bytes", round, i, b, len(want))
			}
			if b.Handle == 0 {
				if !bytes.Equal(l.eager[b.EagerOff:b.EagerOff+len(want)], want) {
					t.Fatalf("round %d, eager block %d: other bytes", round, i)
				}
				continue
			}
			handles = append(handles, b.Handle)
			from := rng.IntN(len(want))
			n := rng.IntN(len(want) - from + 1)
			r := c.read(c.memory(n), nil, shuffle.Range{Handle: b.Handle, Offset: int64(from), Length: int64(n)})
			if !bytes.Equal(r.bytes(t), want[from:from+n]) {
				t.Fatalf("round %d, block %d: other bytes", round, i)
			}
		}
		c.conn.Release(handles)
	}
	held(t, src, 0)
}

// fill poisons memory.
func fill(mem []byte) {
	for n := copy(mem, []byte{poison}); n > 0 && n < len(mem); n *= 2 {
		copy(mem[n:], mem[:n])
	}
}

// watch fails if memory is written to after it was given back.
func watch(mem []byte) (check func(t testing.TB)) {
	fill(mem)
	return func(t testing.TB) {
		t.Helper()
		if bytes.Count(mem, []byte{poison}) != len(mem) {
			t.Error("memory was written to after done")
		}
	}
}

func testCloseLocating(t *testing.T, src *Source, c caller) {
	ids, _ := src.Add(100, 5000)
	resume := src.Stop()
	defer resume()
	var all []*locate
	for range 5 {
		all = append(all, c.locate(ids, 1000, 1000), c.locate(ids[:1], 100, 100)) // one that is waited for, and one that is asked
	}
	if err := c.conn.Close(); err != nil {
		t.Error(err)
	}
	for _, l := range all {
		select {
		case <-l.ended:
		default:
			t.Fatal("Close returned before done was called")
		}
		broken(t, l.err)
		defer watch(l.eager)(t)
	}
	resume()
	held(t, src, 0)
}

func testCloseReading(t *testing.T, src *Source, c caller) {
	const size = 4 << 20
	ids, data := src.Add(size)
	got := c.locate(ids, 0, 0).located(t)
	var all []*read
	for range 8 {
		all = append(all, c.read(c.memory(size), nil, shuffle.Range{Handle: got[0].Handle, Length: size}))
	}
	wait(t, all[0].ended, "the first Read")
	if err := c.conn.Close(); err != nil {
		t.Error(err)
	}
	for _, r := range all {
		select {
		case <-r.ended:
		default:
			t.Fatal("Close returned before done was called")
		}
		if r.err == nil && !bytes.Equal(r.dst, data[0]) {
			t.Error("other bytes")
		}
		defer watch(r.dst)(t)
	}
	held(t, src, 0)
}

func testAfterClose(t *testing.T, src *Source, c caller) {
	ids, _ := src.Add(100)
	for range 2 {
		if err := c.conn.Close(); err != nil {
			t.Error(err)
		}
	}
	wait(t, c.conn.Closed(), "Closed")
	l := c.locate(ids, 100, 100)
	wait(t, l.ended, "Locate")
	broken(t, l.err)
	r := c.read(c.memory(10), nil, shuffle.Range{Handle: 1, Length: 10})
	wait(t, r.ended, "Read")
	broken(t, r.err)
	c.conn.Release([]uint64{1})
}

// Close waits for what is begun by the ends that it causes, too.
func testBeginWhileClosing(t *testing.T, src *Source, c caller) {
	const size = 1 << 20
	ids, _ := src.Add(100, size)
	got := c.locate(ids[1:], 0, 0).located(t)
	resume := src.Stop()
	defer resume()
	var ended, more atomic.Int32
	again := func(error) {
		ended.Add(1)
		c.conn.Locate(&shuffle.LocateRequest{Blocks: ids}, nil, func([]shuffle.Located, error) { more.Add(1) })
		c.conn.Read([]shuffle.ReadRequest{{
			Ranges: []shuffle.Range{{Handle: got[0].Handle, Length: 10}}, Dst: c.memory(10), Done: func(error) { more.Add(1) },
		}})
	}
	const n = 8
	var reqs []shuffle.ReadRequest
	for range n {
		c.conn.Locate(&shuffle.LocateRequest{Blocks: ids}, nil, func(_ []shuffle.Located, err error) { again(err) })
		reqs = append(reqs, shuffle.ReadRequest{
			Ranges: []shuffle.Range{{Handle: got[0].Handle, Length: size}}, Dst: c.memory(size), Done: again,
		})
	}
	c.conn.Read(reqs)
	if err := c.conn.Close(); err != nil {
		t.Error(err)
	}
	if ended.Load() != 2*n || more.Load() != 4*n {
		t.Errorf("Close returned after %d of %d ends, and %d of the %d that these began", ended.Load(), 2*n, more.Load(), 4*n)
	}
}

func testPeerDies(t *testing.T, f Factory) {
	src := NewSource(t)
	l := f(t, src)
	defer func() { _ = l.Conn.Close() }()
	if l.Kill == nil {
		return
	}
	c := caller{t, l.Conn, l}
	ids, _ := src.Add(100, 5000)
	got := c.locate(ids, 1000, 1000).located(t)
	resume := src.Stop()
	defer resume()
	waiting, asked := c.locate(ids, 1000, 1000), c.locate(ids[:1], 100, 100)
	l.Kill()
	for _, l := range []*locate{waiting, asked} {
		wait(t, l.ended, "Locate")
		broken(t, l.err)
	}
	wait(t, l.Conn.Closed(), "Closed")
	r := c.read(c.memory(5000), nil, shuffle.Range{Handle: got[1].Handle, Length: 5000})
	wait(t, r.ended, "Read")
	broken(t, r.err)
	held(t, src, 0)
}
