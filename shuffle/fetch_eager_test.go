package shuffle_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"weft/shuffle"
	"weft/shuffle/mem"
	"weft/shuffle/transporttest"
)

// Small blocks come with the answer: one round trip. One that is asked for alone may be as large as an answer; in pieces, as by fetchBlockSync, it has to be
// the only one, as each of several needs a lease of its own.
func TestFetchEager(t *testing.T) {
	for _, tt := range []struct {
		lengths       []int
		reads, pieces int // reads that it takes as a whole, and in pieces
	}{
		{[]int{0}, 0, 0},
		{[]int{1}, 0, 0},
		{[]int{4*kib + 1}, 0, 0},
		{[]int{32 * kib}, 0, 0},
		{[]int{32*kib + 1}, 1, 1},
		{[]int{4 * kib, 4 * kib}, 0, 2},
		{[]int{4*kib + 1, 1}, 1, 2},
	} {
		for _, pieces := range []bool{false, true} {
			r := newRig(t, "", 4*mib, fetchOptions())
			r.grow()
			ids, data := r.src.Add(tt.lengths...)
			want := tt.reads
			if pieces {
				want = tt.pieces
			}
			r.fetch(t.Context(), ids, func(req *shuffle.FetchRequest, _ *recorder) { req.Pieces = pieces }).check(data, shuffle.ReasonNone)
			if n := r.script.Count("read"); n != want {
				t.Errorf("blocks of %d bytes, in pieces: %t: %d reads, want %d", tt.lengths, pieces, n, want)
			}
		}
	}
}

// Memory that others may want is not set aside for one block: with three quarters of it free it is, with less it takes another round trip.
func TestFetchEagerSpares(t *testing.T) {
	r := newRig(t, "", 128*kib, fetchOptions())
	r.grow()
	ids, data := r.src.Add(20 * kib)
	for i, want := range []int{0, 1} {
		r.fetch(t.Context(), ids, nil).check(data, shuffle.ReasonNone)
		if n := r.script.Count("read"); n != want {
			t.Errorf("%d leases held: %d reads, want %d", i, n, want)
		}
		lease, ok := r.arena.TryTake(4 * kib)
		if !ok {
			t.Fatal("no memory")
		}
		defer lease.Release()
	}
}

// Of more blocks than there are KiB set aside, four times as much comes along where memory is plenty.
func TestFetchEagerOfMany(t *testing.T) {
	lengths := slices.Repeat([]int{2000}, 40) // 80,000 bytes; 32 KiB are set aside as a rule
	for _, tt := range []struct {
		arena int64
		reads bool
	}{{4 * mib, false}, {256 * kib, true}} {
		r := newRig(t, "", tt.arena, fetchOptions())
		r.grow()
		ids, data := r.src.Add(lengths...)
		r.fetch(t.Context(), ids, nil).check(data, shuffle.ReasonNone)
		if n := r.script.Count("read"); (n > 0) != tt.reads {
			t.Errorf("arena of %d bytes: %d reads", tt.arena, n)
		}
	}
}

// grow has the arena make its first region.
func (r *rig) grow() {
	lease, ok := r.arena.TryAlloc(1)
	if !ok {
		r.t.Fatal("no memory")
	}
	lease.Release()
}

// directly is a transport whose connections say that they can read by another way than they answer.
type directly struct{ shuffle.Transport }

func (d directly) Dial(ctx context.Context, peer shuffle.PeerAddr) (shuffle.Conn, error) {
	c, err := d.Transport.Dial(ctx, peer)
	return directConn{c}, err
}

type directConn struct{ shuffle.Conn }

func (directConn) HasDirect() bool { return true }

// Where blocks may be read past all copies, or none is to come along, one alone is read, too.
func TestFetchNotEager(t *testing.T) {
	for name, change := range map[string]func(*rig, *shuffle.FetchOptions) shuffle.Transport{
		"read directly": func(r *rig, _ *shuffle.FetchOptions) shuffle.Transport {
			return directly{transporttest.Faulty(mem.New(r.src, r.metrics), r.script)}
		},
		"not wanted": func(r *rig, o *shuffle.FetchOptions) shuffle.Transport {
			o.EagerBlock = 0
			return transporttest.Faulty(mem.New(r.src, r.metrics), r.script)
		},
	} {
		t.Run(name, func(t *testing.T) {
			opts, log := fetchOptions(), slog.New(slog.DiscardHandler)
			r := newRig(t, "", 4*mib, opts)
			r.peers = shuffle.NewPeers(shuffle.PeersOptions{DaemonID: ownID, Transports: []shuffle.Transport{change(r, &opts)}}, r.metrics, log)
			r.fetcher = shuffle.NewFetcher(r.peers, opts, r.metrics, log)
			r.grow()
			ids, data := r.src.Add(5 * kib)
			for range 2 { // without a connection, and with one
				r.fetch(t.Context(), ids, nil).check(data, shuffle.ReasonNone)
			}
			if n := r.script.Count("read"); n != 2 {
				t.Errorf("%d reads, want 2", n)
			}
		})
	}
}
