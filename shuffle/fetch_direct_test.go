package shuffle_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/mem"
)

// partly is transport mem, some of whose reads are said to have come by "rdma".
type partly struct {
	shuffle.Transport
	otherwise []int // numbers of the reads, from 1, that were not
	streams   []uint64
}

func (p *partly) Dial(ctx context.Context, peer shuffle.PeerAddr) (shuffle.Conn, error) {
	c, err := p.Transport.Dial(ctx, peer)
	return &partlyConn{Conn: c, partly: p}, err
}

type partlyConn struct {
	shuffle.Conn
	*partly
	reads int // begun by one goroutine after the other: the window is 1
}

func (c *partlyConn) Read(reqs []shuffle.ReadRequest) {
	for i := range reqs {
		r := &reqs[i]
		c.reads++
		c.streams = append(c.streams, r.Stream)
		if slices.Contains(c.otherwise, c.reads) {
			continue
		}
		by, done := r.By, r.Done
		r.Done = func(err error) {
			by("rdma")
			done(err)
		}
	}
	c.Conn.Read(reqs)
}

// ways notes how each delivery came.
type ways struct {
	*recorder
	by []string
}

func (w *ways) Delivered(d shuffle.Delivery) {
	w.by = append(w.by, d.Transport)
	w.recorder.Delivered(d)
}

// A block counts as moved by what read all of it, else by the connection's transport.
func TestFetchTellsTheWay(t *testing.T) {
	for _, tt := range []struct {
		name      string
		lengths   []int
		pieces    bool
		otherwise []int
		by        []string
		blocks    int // by rdma
		bytes     int
	}{
		{"eager, empty", []int{100, 0}, false, nil, []string{"mem", "mem"}, 0, 0},
		{"a group", []int{20 * kib, 20 * kib}, false, nil, []string{"rdma"}, 2, 40 * kib},
		{"a group otherwise", []int{20 * kib, 20 * kib}, false, []int{1}, []string{"mem"}, 0, 0},
		{"all of a block", []int{200 * kib}, false, nil, []string{"rdma"}, 1, 200 * kib},
		{"all but the first", []int{200 * kib}, false, []int{1}, []string{"mem"}, 0, 0},
		{"all but one", []int{200 * kib}, false, []int{2}, []string{"mem"}, 0, 0},
		{"all but the last", []int{200 * kib}, false, []int{4}, []string{"mem"}, 0, 0},
		{"nothing of a block", []int{200 * kib}, false, []int{1, 2, 3, 4}, []string{"mem"}, 0, 0},
		{"another block's", []int{200 * kib, 70 * kib}, false, []int{6}, []string{"rdma", "mem"}, 1, 200 * kib},
		{"pieces", []int{200 * kib}, true, nil, []string{"rdma", "rdma", "rdma", "rdma"}, 1, 200 * kib},
		{"pieces but the last", []int{200 * kib}, true, []int{4}, []string{"rdma", "rdma", "rdma", "mem"}, 0, 192 * kib},
		{"pieces but one", []int{200 * kib}, true, []int{2}, []string{"rdma", "mem", "mem", "mem"}, 0, 64 * kib},
	} {
		t.Run(tt.name, func(t *testing.T) {
			opts := fetchOptions()
			opts.Window = 1
			r := newRig(t, "", 4*mib, opts)
			log := slog.New(slog.DiscardHandler)
			peers := shuffle.NewPeers(shuffle.PeersOptions{
				DaemonID: ownID, Transports: []shuffle.Transport{&partly{Transport: mem.New(r.src, r.metrics), otherwise: tt.otherwise}},
			}, r.metrics, log)
			defer peers.Close()
			ids, data := r.src.Add(tt.lengths...)
			req := r.request(ids)
			req.Pieces = tt.pieces
			rec := &ways{recorder: newRecorder(t, req)}
			shuffle.NewFetcher(peers, opts, r.metrics, log).Fetch(t.Context(), req, rec)
			rec.check(data, shuffle.ReasonNone)
			if !slices.Equal(rec.by, tt.by) {
				t.Errorf("delivered by %q, want %q", rec.by, tt.by)
			}
			sum := 0
			for _, n := range tt.lengths {
				sum += n
			}
			for by, want := range map[string][2]int{"rdma": {tt.blocks, tt.bytes}, "mem": {len(ids) - tt.blocks, sum - tt.bytes}} {
				blocks, bytes := r.metrics.BlocksTotal(by, metrics.Received), r.metrics.BytesTotal(by, metrics.Received)
				if n, m := testutil.ToFloat64(blocks), testutil.ToFloat64(bytes); n != float64(want[0]) || m != float64(want[1]) {
					t.Errorf("%v blocks and %v bytes were counted as moved by %s, want %d", n, m, by, want)
				}
			}
		})
	}
}

// The reads of a fetch are one stream, which takes turns with other fetches'.
func TestAFetchIsAStream(t *testing.T) {
	opts := fetchOptions()
	opts.Window = 1
	r := newRig(t, "", 4*mib, opts)
	log := slog.New(slog.DiscardHandler)
	p := &partly{Transport: mem.New(r.src, r.metrics)}
	peers := shuffle.NewPeers(shuffle.PeersOptions{DaemonID: ownID, Transports: []shuffle.Transport{p}}, r.metrics, log)
	defer peers.Close()
	ids, data := r.src.Add(100*kib, 70*kib)
	f := shuffle.NewFetcher(peers, opts, r.metrics, log)
	for range 2 {
		req := r.request(ids)
		rec := newRecorder(t, req)
		f.Fetch(t.Context(), req, rec)
		rec.check(data, shuffle.ReasonNone)
	}
	if want := []uint64{1, 1, 1, 1, 2, 2, 2, 2}; !slices.Equal(p.streams, want) {
		t.Errorf("streams %d, want %d", p.streams, want)
	}
}
