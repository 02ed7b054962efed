package shuffle_test

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"weft/shuffle"
	"weft/shuffle/mempool"
	"weft/shuffle/transporttest"
)

func testCancelled(t *testing.T, cause error) {
	r := newRig(t, "", 4*mib, fetchOptions())
	ids, data := r.src.Add(100, 50*kib)
	r.fetch(t.Context(), ids, nil).check(data, shuffle.ReasonNone) // there is a connection
	resume := r.src.Stop()
	defer resume()
	ctx, cancel := context.WithCancelCause(t.Context())
	rec := r.fetch(ctx, ids, nil)
	cancel(cause)
	want := shuffle.ToBlockError(context.Cause(ctx)).Reason
	if cause == nil || errors.Is(cause, shuffle.ErrCancelled) {
		want = shuffle.ReasonCancelled
	}
	rec.check(data, want, 0, 1)
	resume()
}

// lateMemory makes the first region at once, and others when it may.
type lateMemory struct {
	mempool.Heap
	asked, may chan struct{}
}

func (m *lateMemory) NewRegion(number uint32, size int64) ([]byte, func() error, error) {
	if number > 0 {
		close(m.asked)
		<-m.may
	}
	return m.Heap.NewRegion(number, size)
}

// A fetch that is cancelled while memory is being made for it ends at once for its executor; Wait returns when the memory was given back.
func TestFetchCancelledInGrow(t *testing.T) {
	r := newRig(t, "", 64*kib, fetchOptions())
	memory := &lateMemory{asked: make(chan struct{}), may: make(chan struct{})}
	r.budget = mempool.NewBudget(128 * kib)
	r.arena = mempool.NewArena(mempool.ArenaOptions{Backing: memory, Budget: r.budget, Purpose: "late", RegionSize: 64 * kib, Max: 128 * kib})
	defer func() {
		r.arena.Close()
		<-r.arena.Done()
	}()
	first, ok := r.arena.TryAlloc(60 * kib)
	if !ok {
		t.Fatal("no memory")
	}
	defer first.Release()
	ids, _ := r.src.Add(60 * kib)
	ctx, cancel := context.WithCancelCause(t.Context())
	rec := r.fetch(ctx, ids, nil)
	<-memory.asked
	cancel(shuffle.ErrCancelled)
	rec.wait()
	var made atomic.Bool
	time.AfterFunc(50*time.Millisecond, func() { // Wait comes meanwhile
		made.Store(true)
		close(memory.may)
	})
	r.fetcher.Wait()
	if !made.Load() {
		t.Error("Wait returned while memory was being made")
	}
	r.leased(1)
}

// leased waits until so many leases are out.
func (r *rig) leased(n int) {
	r.t.Helper()
	for end := time.Now().Add(patience); r.arena.Usage().Leases != int64(n); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("%d leases are out, want %d", r.arena.Usage().Leases, n)
		}
	}
}

// Data that arrives after the time-out goes to memory that nobody else has: the lease is given back only then.
func TestFetchTimeoutLateData(t *testing.T) {
	for _, script := range []string{"locate 1 delay 200ms", "read 1 delay 200ms", "read * delay 200ms"} {
		t.Run(script, func(t *testing.T) {
			r := newRig(t, script, 256*kib, fetchOptions())
			ids, data := r.src.Add(100, 60*kib)
			rec := r.fetch(t.Context(), ids, func(req *shuffle.FetchRequest, _ *recorder) { req.Timeout = 20 * time.Millisecond })
			rec.wait()
			if rec.fail[1] != shuffle.ReasonTimeout {
				t.Fatalf("failed: %v", rec.fail)
			}
			// The bytes are on their way. All other memory of the arena is written to meanwhile, by us.
			if r.arena.Usage().Leases == 0 {
				t.Fatal("the lease was given back before its read was done")
			}
			lease, ok := r.arena.TryAlloc(128 * kib)
			if !ok {
				t.Fatal("no room")
			}
			mine := bytes.Repeat([]byte{0x5a}, lease.Len())
			copy(lease.Bytes(), mine)
			r.leased(1)
			if !bytes.Equal(lease.Bytes(), mine) {
				t.Error("late data was written to another lease")
			}
			lease.Release()
			held(t, r.src)
			if script != "read * delay 200ms" {
				r.fetch(t.Context(), ids, nil).check(data, shuffle.ReasonNone)
			}
		})
	}
}

// The same of a small block in pieces, whose bytes come with the answer; and where the connection breaks meanwhile, or the arena is full.
func TestFetchSmallInPiecesFails(t *testing.T) {
	t.Run("late", func(t *testing.T) {
		r := newRig(t, "locate 1 delay 200ms", 256*kib, fetchOptions())
		ids, data := r.src.Add(100)
		r.fetch(t.Context(), ids, func(req *shuffle.FetchRequest, _ *recorder) {
			req.Pieces, req.Timeout = true, 20*time.Millisecond
		}).check(data, shuffle.ReasonTimeout, 0)
		if r.arena.Usage().Leases != 1 {
			t.Fatal("the lease was given back before the answer came")
		}
		r.leased(0)
		held(t, r.src)
	})
	t.Run("broken", func(t *testing.T) {
		r := newRig(t, "locate 1 fail lost", 256*kib, fetchOptions())
		ids, data := r.src.Add(100)
		r.fetch(t.Context(), ids, inPieces).check(data, shuffle.ReasonPeerLost, 0)
		r.leased(0)
		held(t, r.src)
	})
	t.Run("full", func(t *testing.T) {
		r := newRig(t, "", 256*kib, fetchOptions())
		ids, data := r.src.Add(100)
		all, ok := r.arena.TryAlloc(256 * kib)
		if !ok {
			t.Fatal("no room")
		}
		rec := r.fetch(t.Context(), ids, inPieces)
		for end := time.Now().Add(patience); r.script.Count("locate") == 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the block was not asked for")
			}
		}
		all.Release()
		rec.check(data, shuffle.ReasonNone)
		if n := r.script.Count("read"); n != 1 {
			t.Errorf("%d reads of a block for which there was no room in the answer", n)
		}
	})
}

// held waits until the source holds no block open.
func held(t testing.TB, src *transporttest.Source) {
	t.Helper()
	for end := time.Now().Add(patience); src.Open() != 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d blocks are held open", src.Open())
		}
	}
}

// A slow peer that gets on is not timed out, however long it takes in all.
func TestFetchProgress(t *testing.T) {
	opts := fetchOptions()
	opts.Window = 1
	r := newRig(t, "read * delay 30ms", 4*mib, opts)
	ids, data := r.src.Add(600 * kib)
	r.fetch(t.Context(), ids, func(req *shuffle.FetchRequest, _ *recorder) { req.Timeout = 2 * time.Second }).check(data, shuffle.ReasonNone)
}

// counter is a sink that keeps nothing.
type counter struct {
	t     testing.TB
	bytes int64
	ended chan struct{}
}

func (c *counter) Delivered(d shuffle.Delivery) {
	if d.PieceOffset != c.bytes {
		c.t.Errorf("a piece at %d, want %d", d.PieceOffset, c.bytes)
	}
	c.bytes += d.Entries[0].Length
	d.Lease.Release()
	if c.bytes == d.BlockLength {
		close(c.ended)
	}
}

func (c *counter) Failed(_ []int, reason shuffle.Reason, detail string) {
	c.t.Errorf("failed: %v: %s", reason, detail)
	close(c.ended)
}

// A block of 3 GiB goes through an arena of 64 MiB.
func TestFetchHugeBlockInPieces(t *testing.T) {
	const size = 3 << 30
	opts := fetchOptions()
	opts.Piece, opts.Window = 4*mib, 8
	r := newRig(t, "", 64*mib, opts)
	id := transporttest.ID(0)
	r.src.AddHole(id, size, zeroes(size))
	c := &counter{t: t, ended: make(chan struct{})}
	req := r.request([]shuffle.BlockID{id})
	req.Pieces = true
	r.fetcher.Fetch(t.Context(), req, c)
	select {
	case <-c.ended:
	case <-time.After(4 * patience):
		t.Fatal("it did not end")
	}
	if c.bytes != size {
		t.Errorf("%d bytes", c.bytes)
	}
}

// zeroes is the checksum of n zero bytes.
func zeroes(n int64) uint32 {
	var sum uint32
	part, length := shuffle.Checksum([]byte{0}), int64(1)
	for ; n > 0; n >>= 1 {
		if n&1 == 1 {
			sum = shuffle.CombineChecksums(sum, part, length)
		}
		part, length = shuffle.CombineChecksums(part, part, length), 2*length
	}
	return sum
}

// A piece that is late does not let those behind it take more of the arena than the window.
func TestFetchLatePieceBoundsMemory(t *testing.T) {
	r := newRig(t, "read 1 delay 300ms", 4*mib, fetchOptions())
	ids, data := r.src.Add(3 * mib)
	rec := r.fetch(t.Context(), ids, inPieces)
	window := fetchOptions().Window
	r.leased(window)
	time.Sleep(20 * time.Millisecond) // for what should not happen: the others have long arrived
	if n := r.script.Count("read"); n != window {
		t.Errorf("%d pieces were asked for while the first is late, want %d", n, window)
	}
	rec.check(data, shuffle.ReasonNone)
}
