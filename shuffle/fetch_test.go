package shuffle_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/mempool"
	"weft/shuffle/transporttest"
)

func TestFetch(t *testing.T) {
	for _, tt := range []struct {
		name       string
		lengths    []int
		deliveries int // of whole blocks
		reads      int
	}{
		{"one small block", []int{100}, 1, 0},
		{"small blocks in one lease", []int{100, 4 * kib, 1, 4000}, 1, 0},
		{"blocks without bytes", []int{0, 0}, 1, 0},
		{"more than the eager memory", []int{4000, 4000, 4000, 4000, 4000, 4000, 4000, 4000, 4000, 4000}, 2, 1},
		{"adjacent blocks are read together", []int{20 * kib, 20 * kib, 20 * kib, 20 * kib}, 2, 2},
		{"a large block", []int{200 * kib}, 1, 4},
		{"all kinds", []int{100, 0, 200 * kib, 10 * kib, 300, 65 * kib, 64 * kib, 1}, 6, 8},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, "", 4*mib, fetchOptions())
			ids, data := r.src.Add(tt.lengths...)
			rec := r.fetch(t.Context(), ids, nil)
			rec.check(data, shuffle.ReasonNone)
			if rec.deliveries != tt.deliveries || r.script.Count("read") != tt.reads {
				t.Errorf("%d deliveries and %d reads, want %d and %d", rec.deliveries, r.script.Count("read"), tt.deliveries, tt.reads)
			}
			r.fetch(t.Context(), ids, inPieces).check(data, shuffle.ReasonNone)
			if n := testutil.ToFloat64(r.metrics.BlocksTotal("mem", metrics.Received)); n != float64(2*len(ids)) {
				t.Errorf("%v blocks were counted, want %d", n, 2*len(ids))
			}
			if n := testutil.ToFloat64(r.metrics.BlocksTotal("mem", metrics.Served)); n != float64(2*len(ids)) {
				t.Errorf("%v blocks were counted as served, want %d", n, 2*len(ids))
			}
			for _, direction := range []string{metrics.Received, metrics.Served} {
				sum := 0
				for _, d := range data {
					sum += 2 * len(d)
				}
				if n := testutil.ToFloat64(r.metrics.BytesTotal("mem", direction)); n != float64(sum) {
					t.Errorf("%v bytes were counted as %s, want %d", n, direction, sum)
				}
			}
		})
	}
	t.Run("nothing", func(t *testing.T) {
		r := newRig(t, "", mib, fetchOptions())
		r.fetch(t.Context(), nil, nil)
	})
}

func TestFetchFailsTheBlocksConcerned(t *testing.T) {
	for _, tt := range []struct {
		name, script string
		lengths      []int
		reason       shuffle.Reason
		failed       []int
	}{
		{"a read is refused", "read 1 fail bad_map_output", []int{100, 50 * kib, 50 * kib}, shuffle.ReasonBadMapOutput, []int{1}},
		{"a group is refused", "read 1 fail owner_gone", []int{20 * kib, 20 * kib, 100 * kib}, shuffle.ReasonOwnerGone, []int{0, 1}},
		{"a piece is refused", "read 2 fail not_found", []int{900 * kib, 50 * kib}, shuffle.ReasonNotFound, []int{0}},
		{"the last piece is refused", "read 3 fail not_found", []int{150 * kib, 50 * kib}, shuffle.ReasonNotFound, []int{0}},
		{"the connection breaks", "read 2 fail lost", []int{100, 50 * kib, 50 * kib, 50 * kib}, shuffle.ReasonPeerLost, nil},
		{"the request is refused", "locate 1 fail peer_refused", []int{100, 50 * kib}, shuffle.ReasonPeerRefused, []int{0, 1}},
		{"the connection breaks at once", "locate 1 fail lost", []int{100, 50 * kib}, shuffle.ReasonPeerLost, []int{0, 1}},
		{"no connection", "dial * fail lost", []int{100, 50 * kib}, shuffle.ReasonPeerUnreachable, []int{0, 1}},
		{"the peer refuses", "dial * fail peer_refused", []int{100, 50 * kib}, shuffle.ReasonPeerRefused, []int{0, 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := fetchOptions()
			opts.Window = 1
			r := newRig(t, tt.script, 4*mib, opts)
			ids, data := r.src.Add(tt.lengths...)
			if tt.failed == nil {
				rec := r.fetch(t.Context(), ids, nil)
				rec.check(data, tt.reason, 2, 3)
				return
			}
			r.fetch(t.Context(), ids, nil).check(data, tt.reason, tt.failed...)
			sum := 0.0
			for _, reason := range shuffle.Reasons() {
				sum += testutil.ToFloat64(r.metrics.FailedBlocks(reason.String()))
			}
			if sum != float64(len(tt.failed)) {
				t.Errorf("%v blocks were counted as failed, want %d", sum, len(tt.failed))
			}
		})
	}
}

func TestFetchOwnersErrors(t *testing.T) {
	r := newRig(t, "", 4*mib, fetchOptions())
	ids, data := r.src.Add(100, 50*kib)
	for i := 10; i < 13; i++ {
		r.src.AddError(transporttest.ID(i), shuffle.Errorf(shuffle.ReasonBadMapOutput, "broken"))
		ids = append(ids, transporttest.ID(i))
	}
	rec := r.fetch(t.Context(), ids, nil)
	rec.check(data, shuffle.ReasonBadMapOutput, 2, 3, 4)
	if want := "broken (and 2 more blocks)"; len(rec.details) != 1 || rec.details[0] != want {
		t.Errorf("details %q, want one: %q", rec.details, want)
	}
}

// Bytes that are not the owner's are not delivered; of a block in pieces, the last piece is not.
func TestFetchChecksum(t *testing.T) {
	for script, failed := range map[string][]int{
		"locate 1 corrupt 150": {1}, // of 100 and 100 eager bytes
		"read 1 corrupt 70000": {3}, // of a group of two blocks of 20 KiB: modulo
		"read 2 corrupt 5":     {4},
		"read 3 corrupt 5":     {4},
		"read 4 corrupt 5":     {4},
	} {
		t.Run(script, func(t *testing.T) {
			r := newRig(t, script, 4*mib, fetchOptions())
			ids, data := r.src.Add(100, 100, 20*kib, 20*kib, 150*kib)
			rec := r.fetch(t.Context(), ids, nil)
			rec.check(data, shuffle.ReasonChecksum, failed...)
			if n := testutil.ToFloat64(r.metrics.ChecksumErrors); n != 1 {
				t.Errorf("%v checksum errors were counted", n)
			}
		})
	}
	t.Run("pieces", func(t *testing.T) {
		r := newRig(t, "read 1 corrupt 3", 4*mib, fetchOptions())
		ids, data := r.src.Add(150 * kib)
		rec := r.fetch(t.Context(), ids, inPieces)
		rec.check(data, shuffle.ReasonChecksum, 0)
		if got := len(rec.data[0]); got != 128*kib {
			t.Errorf("%d bytes were delivered, want all but the last piece", got)
		}
	})
	t.Run("a small block in pieces", func(t *testing.T) {
		r := newRig(t, "locate 1 corrupt 3", 4*mib, fetchOptions())
		ids, data := r.src.Add(100)
		rec := r.fetch(t.Context(), ids, inPieces)
		rec.check(data, shuffle.ReasonChecksum, 0)
		if len(rec.data) != 0 {
			t.Errorf("%d wrong blocks were delivered", len(rec.data))
		}
	})
	t.Run("the owner has none", func(t *testing.T) {
		r := newRig(t, "read 1 corrupt 3", 4*mib, fetchOptions())
		r.src.Uncheck()
		ids, data := r.src.Add(40 * kib)
		data[0][3] ^= 1
		r.fetch(t.Context(), ids, nil).check(data, shuffle.ReasonNone)
	})
}

// Blocks are read together as far as that leaves several reads for the streams: up to an eighth of the request, at least 256 KiB, at most a piece.
func TestFetchTogether(t *testing.T) {
	for _, tt := range []struct {
		blocks, length int
		reads          int
	}{
		{100, 64 * kib, 9},  // twelve in each
		{16, 16 * kib, 1},   // of 256 KiB in all
		{64, 1 * mib, 16},   // an eighth is more than a piece
		{3, 5 * mib / 2, 3}, // one is more than an eighth
	} {
		opts := fetchOptions()
		opts.Piece = 4 * mib
		r := newRig(t, "", 128*mib, opts)
		lengths := make([]int, tt.blocks)
		for i := range lengths {
			lengths[i] = tt.length
		}
		ids, data := r.src.Add(lengths...)
		r.fetch(t.Context(), ids, nil).check(data, shuffle.ReasonNone)
		if n := r.script.Count("read"); n != tt.reads {
			t.Errorf("%d blocks of %d bytes took %d reads, want %d", tt.blocks, tt.length, n, tt.reads)
		}
	}
}

// An arena of half of what all fetches together have in flight delays them, no more.
func TestFetchSmallArena(t *testing.T) {
	opts := fetchOptions()
	r := newRig(t, "", int64(4*opts.Window*opts.Piece/2), opts)
	lengths := make([]int, 40)
	for i := range lengths {
		lengths[i] = i * 5 * kib
	}
	ids, data := r.src.Add(lengths...)
	freed := make(chan func(), 1000)
	var receiver sync.WaitGroup
	receiver.Go(func() {
		for free := range freed {
			free()
		}
	})
	var recs []*recorder
	for i := range 4 {
		recs = append(recs, r.fetch(t.Context(), ids, func(req *shuffle.FetchRequest, rec *recorder) {
			req.Pieces = i%2 == 1
			rec.give = func(n int, l *mempool.Lease) { freed <- func() { l.ReleaseShares(n) } }
		}))
	}
	for _, rec := range recs {
		rec.check(data, shuffle.ReasonNone)
	}
	close(freed)
	receiver.Wait()
}

// A receiver that keeps everything gets what there is room for; the rest goes another way after weft.memory.wait.
func TestFetchNoSpace(t *testing.T) {
	opts := fetchOptions()
	opts.MemoryWait = 20 * time.Millisecond
	r := newRig(t, "", 256*kib, opts)
	ids, data := r.src.Add(60*kib, 60*kib, 60*kib, 60*kib, 60*kib, 60*kib, 100)
	var mu sync.Mutex
	var kept []func()
	rec := r.fetch(t.Context(), ids, func(_ *shuffle.FetchRequest, rec *recorder) {
		rec.give = func(n int, l *mempool.Lease) {
			mu.Lock()
			defer mu.Unlock()
			kept = append(kept, func() { l.ReleaseShares(n) })
		}
	})
	rec.wait()
	if len(rec.data) < 4 || len(rec.fail) == 0 {
		t.Errorf("%d delivered, %d failed", len(rec.data), len(rec.fail))
	}
	var failed []int
	for b := range rec.fail {
		failed = append(failed, b)
	}
	rec.check(data, shuffle.ReasonNoSpace, failed...)
	mu.Lock()
	defer mu.Unlock()
	for _, free := range kept {
		free()
	}
}

// A receiver of pieces that writes slowly is waited for longer than that.
func TestFetchSlowPieces(t *testing.T) {
	opts := fetchOptions()
	opts.MemoryWait = 5 * time.Millisecond
	r := newRig(t, "", 256*kib, opts)
	ids, data := r.src.Add(1000 * kib)
	freed := make(chan func(), 100)
	rec := r.fetch(t.Context(), ids, func(req *shuffle.FetchRequest, rec *recorder) {
		req.Pieces, req.Timeout = true, patience
		rec.give = func(n int, l *mempool.Lease) { freed <- func() { l.ReleaseShares(n) } }
	})
	slow := time.NewTicker(2 * opts.MemoryWait)
	defer slow.Stop()
	for ended := false; !ended || len(freed) > 0; {
		<-slow.C
		select {
		case free := <-freed:
			free()
		case <-rec.ended:
			ended = true
		}
	}
	rec.check(data, shuffle.ReasonNone)
}

func TestFetchTooLarge(t *testing.T) {
	r := newRig(t, "", 256*kib, fetchOptions())
	ids, data := r.src.Add(300*kib, 100, 200*kib)
	r.fetch(t.Context(), ids, nil).check(data, shuffle.ReasonTooLarge, 0)
	r.fetch(t.Context(), ids, inPieces).check(data, shuffle.ReasonNone)
}

// Whatever happens, every block ends once, what is delivered is right, and nothing is left behind.
func TestFetchRandomFaults(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6)) //nolint:gosec // a test
	actions := []string{"delay 2ms", "delay 30ms", "fail bad_map_output", "fail lost", "drop", "corrupt 1000", "kill"}
	for range 60 {
		script := ""
		for range 1 + rng.IntN(3) {
			op := []string{"locate", "read", "read", "read"}[rng.IntN(4)]
			script += fmt.Sprintf("%s %d %s; ", op, 1+rng.IntN(6), actions[rng.IntN(len(actions))])
		}
		arena := int64(rng.IntN(8)+2) * 128 * kib
		t.Run(fmt.Sprintf("%s arena %d", script, arena), func(t *testing.T) {
			opts := fetchOptions()
			opts.MemoryWait = 50 * time.Millisecond
			r := newRig(t, script, arena, opts)
			ids, data := r.src.Add(100, 20*kib, 20*kib, 150*kib, 0, 300, 90*kib, 10*kib)
			var recs []*recorder
			for i := range 3 {
				recs = append(recs, r.fetch(t.Context(), ids, func(req *shuffle.FetchRequest, _ *recorder) {
					req.Timeout, req.Pieces = 25*time.Millisecond, i == 2
				}))
			}
			for _, rec := range recs {
				rec.wait()
				var failed []int
				for b := range rec.fail {
					failed = append(failed, b)
				}
				for b, want := range data {
					if _, bad := rec.fail[b]; !bad && string(rec.data[b]) != string(want) {
						t.Errorf("block %d: other bytes; %d blocks failed", b, len(failed))
					}
				}
			}
		})
	}
}

// The reader gets the cause with which the fetch was ended.
func TestFetchCancelled(t *testing.T) {
	gone := shuffle.Errorf(shuffle.ReasonDaemonGone, "the session ended")
	for _, cause := range []error{shuffle.ErrCancelled, nil, gone, errors.New("anything")} {
		t.Run(fmt.Sprint(cause), func(t *testing.T) { testCancelled(t, cause) })
	}
}
