package tcp_test

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

// The suite passes with reads that go directly, and with connections for them that break all the time.
func TestDirectConforms(t *testing.T) {
	for name, tt := range map[string]struct {
		every   int
		backoff time.Duration
	}{
		"it works":      {0, never},
		"it breaks":     {5, time.Nanosecond},
		"it breaks off": {3, never},
	} {
		t.Run(name, func(t *testing.T) {
			reads := 0
			transporttest.Run(t, func(t *testing.T, src shuffle.Source) transporttest.Link {
				direct := transporttest.NewDirect()
				direct.BreakEvery(tt.every)
				t.Cleanup(func() {
					n := direct.Count()
					reads += n.Reads
					if n.Flying+n.Exposed+n.Invited+n.Conns != 0 {
						t.Errorf("something is left: %+v", n)
					}
				})
				opts := options(ownerID)
				opts.Direct, opts.Metrics = direct, metrics.NewSet()
				s, peer := listenWith(t, opts, src, "tcp", "127.0.0.1")
				opts.DaemonID, opts.Backoff = readerID, tt.backoff
				return transporttest.Link{Conn: dialWith(t, opts, peer), Kill: func() { _ = s.Close() }}
			})
			if least := map[string]int{"it works": 1000, "it breaks": 100, "it breaks off": 10}[name]; reads < least {
				t.Errorf("%d reads went directly, want %d", reads, least)
			}
		})
	}
}

// Where one side only can do it, nobody hears of it.
func TestDirectNeedsBothSides(t *testing.T) {
	for name, reader := range map[string]bool{"the reader has it": true, "the owner has it": false} {
		t.Run(name, func(t *testing.T) {
			r := &directRig{t: t, src: transporttest.NewSource(t), direct: transporttest.NewDirect(), metrics: metrics.NewSet()}
			if reader {
				r.connect(r.direct, nil, never)
			} else {
				r.connect(nil, r.direct, never)
			}
			ids, data := r.src.Add(5000, 7)
			r.fetch(anApp, ids, data, "")
			if n := r.direct.Count(); n != (transporttest.DirectCount{}) {
				t.Errorf("%+v", n)
			}
			if by := r.conn.(interface{ Direct() string }).Direct(); by != "" {
				t.Errorf("reads are said to go by %q", by)
			}
			if r.conn.(interface{ HasDirect() bool }).HasDirect() {
				t.Error("reads are said to be able to go another way")
			}
		})
	}
	peer, asked := record(t, 4, -1, nil) // an owner without
	opts := options(readerID)
	opts.Direct, opts.Metrics = transporttest.NewDirect(), metrics.NewSet()
	c := dialWith(t, opts, peer)
	if err := tcp.Open(c, shuffle.App{}); err != nil {
		t.Fatal(err)
	}
	c.Locate(&shuffle.LocateRequest{Blocks: []shuffle.BlockID{transporttest.ID(0)}}, nil, func([]shuffle.Located, error) {})
	_ = c.Close()
	if l := asked()[0][0].GetLocate(); l == nil || l.GetParts() || l.GetInvitation() {
		t.Errorf("%v, want no word about parts", l)
	}
}

func TestDirectIsCounted(t *testing.T) {
	r := newDirectRig(t, never)
	peers := func() float64 { return testutil.ToFloat64(r.metrics.Peers(transporttest.DirectName)) }
	if by := r.conn.(interface{ Direct() string }).Direct(); by != "" || !r.conn.(interface{ HasDirect() bool }).HasDirect() {
		t.Errorf("before the first read, reads are said to go by %q, or never to go another way", by)
	}
	ids, data := r.src.Add(5000, 1, 300000)
	r.fetch(anApp, ids, data, transporttest.DirectName)
	r.held(0, 0)
	if n := r.direct.Count(); n.Dials != 1 || n.Reads != 3 || n.Invitations != 1 || n.Conns != 1 {
		t.Errorf("%+v", n)
	}
	if by := r.conn.(interface{ Direct() string }).Direct(); by != transporttest.DirectName || peers() != 1 {
		t.Errorf("reads are said to go by %q, %v peers", by, peers())
	}
	if n := testutil.ToFloat64(r.metrics.PeerDials(transporttest.DirectName, metrics.OK)); n != 1 {
		t.Errorf("%v dials", n)
	}
	_ = r.conn.Close()
	if by := r.conn.(interface{ Direct() string }).Direct(); by != "" || peers() != 0 {
		t.Errorf("reads are said to go by %q, %v peers", by, peers())
	}
	if n := testutil.ToFloat64(r.metrics.PeerLosses(transporttest.DirectName)); n != 0 {
		t.Errorf("%v losses, want none: it was closed", n)
	}
}

// What cannot be dialled is left alone for a while, and blocks come the other way.
func TestDirectDialFails(t *testing.T) {
	failed := func(r *directRig) float64 {
		return testutil.ToFloat64(r.metrics.PeerDials(transporttest.DirectName, metrics.Failed))
	}
	t.Run("it is not tried again at once", func(t *testing.T) {
		r := newDirectRig(t, never)
		ids, data := r.src.Add(5000, 100)
		r.direct.FailDials(errors.New("no route"))
		r.fetch(anApp, ids, data, "")
		r.direct.FailDials(nil)
		r.fetch(anApp, ids, data, "")
		if n := r.direct.Count(); n.Dials != 1 || n.Exposures != 2 || failed(r) != 1 {
			t.Errorf("%+v, %v failed dials counted", n, failed(r))
		}
	})
	t.Run("it is tried again later", func(t *testing.T) {
		r := newDirectRig(t, time.Nanosecond)
		ids, data := r.src.Add(5000, 100)
		r.direct.FailDials(errors.New("no route"))
		for i := range 3 {
			r.fetch(anApp, ids, data, "")
			r.direct.Await(t, "another dial that fails", func(transporttest.DirectCount) bool { return failed(r) == float64(i+1) })
		}
		r.direct.FailDials(nil)
		resume := r.direct.StopDials()
		r.fetch(anApp, ids, data, "") // nothing waits for a way that has failed
		resume()
		r.direct.Await(t, "a connection", func(transporttest.DirectCount) bool { return r.conn.(interface{ Direct() string }).Direct() != "" })
		r.fetch(anApp, ids, data, transporttest.DirectName)
		if n := r.direct.Count(); n.Dials != 4 || failed(r) != 3 {
			t.Errorf("%+v, %v failed dials counted", n, failed(r))
		}
	})
}

// Reads that begin while it is dialled wait for that, whatever comes of it.
func TestReadsWaitForTheDial(t *testing.T) {
	for name, tt := range map[string]struct {
		end func(r *directRig, blocks []shuffle.Located, resume func())
		by  string
	}{
		"connected": {func(_ *directRig, _ []shuffle.Located, resume func()) { resume() }, transporttest.DirectName},
		"failed": {func(r *directRig, _ []shuffle.Located, resume func()) {
			r.direct.FailDials(errors.New("no route"))
			resume()
		}, ""},
		"closed": {func(r *directRig, _ []shuffle.Located, _ func()) { _ = r.conn.Close() }, "lost"},
		"given up": {func(r *directRig, blocks []shuffle.Located, resume func()) {
			r.conn.Release([]uint64{blocks[0].Handle, blocks[1].Handle, blocks[2].Handle})
			r.locate(anApp, transporttest.ID(0)) // the owner has read all that came before
			r.held(4, 4)                         // and was told nothing yet
			resume()
		}, "given up"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newDirectRig(t, never)
			ids, data := r.src.Add(5000, 1, 300000)
			resume := r.direct.StopDials()
			defer resume()
			blocks := r.locate(anApp, ids...)
			reads := r.begin(tt.by != "given up", blocks...)
			tt.end(r, blocks, resume)
			for i, one := range reads {
				switch <-one.ended; {
				case tt.by == "lost":
					one.lost()
				case tt.by == "given up" && one.err != nil:
					if be := (*shuffle.BlockError)(nil); !errors.As(one.err, &be) {
						t.Error(one.err)
					}
				case tt.by == "given up":
					one.check(data[i], one.by)
				default:
					one.check(data[i], tt.by)
				}
			}
			switch tt.by {
			case "given up":
				r.held(1, 1)
			default:
				r.held(0, 0)
			}
		})
	}
}
