package tcp_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"weft/shuffle"
	"weft/shuffle/transporttest"
)

// flying waits until so many reads are held back.
func (r *directRig) flying(n int) {
	r.t.Helper()
	r.direct.Await(r.t, "reads in flight", func(c transporttest.DirectCount) bool { return c.Flying == n })
}

// Reads in flight when the connection for them breaks come over the streams; so do those that follow, until it is dialled again.
func TestDirectBreaks(t *testing.T) {
	for name, again := range map[string]bool{"for good": false, "and is dialled again": true} {
		t.Run(name, func(t *testing.T) {
			backoff, by := never, ""
			if again {
				backoff, by = time.Nanosecond, transporttest.DirectName
			}
			r := newDirectRig(t, backoff)
			ids, data := r.src.Add(5000, 1, 300000, 70000)
			resume := r.direct.StopReads()
			defer resume()
			blocks := r.locate(anApp, ids...)
			kept := r.begin(false, blocks[:2]...)
			given := r.begin(true, blocks[2:]...)
			r.flying(4)
			r.held(4, 4)
			r.direct.Break()
			for i, one := range append(kept, given...) {
				one.check(data[i], "")
			}
			r.direct.Await(t, "it was not closed", func(c transporttest.DirectCount) bool { return c.Conns == 0 })
			r.held(2, 2)
			resume()
			r.fetch(anApp, ids, data, by)
			r.begin(false, blocks[0])[0].check(data[0], "") // what the former connection could read the next may not
			r.conn.Release([]uint64{blocks[0].Handle, blocks[1].Handle})
			r.held(0, 0)
			for end := time.Now().Add(20 * time.Second); testutil.ToFloat64(r.metrics.PeerLosses(transporttest.DirectName)) != 1; time.Sleep(time.Millisecond) {
				if time.Now().After(end) {
					t.Fatal("the loss was not counted, once")
				}
			}
			dials, peers := 1, 0
			if again {
				dials, peers = 2, 1
			}
			if n := r.direct.Count(); n.Dials != dials || n.Conns != peers || testutil.ToFloat64(r.metrics.Peers(transporttest.DirectName)) != float64(peers) {
				t.Errorf("%+v", n)
			}
		})
	}
}

// A handle given up while it is read directly remains the reader's until the read has ended: the owner would take the memory back.
func TestReleaseWhileReadDirectly(t *testing.T) {
	for name, breaks := range map[string]bool{"it is read to its end": false, "it breaks": true} {
		t.Run(name, func(t *testing.T) {
			r := newDirectRig(t, never)
			ids, data := r.src.Add(300000, 10)
			resume := r.direct.StopReads()
			defer resume()
			blocks := r.locate(anApp, ids...)
			reads := append(r.begin(false, blocks[0]), r.begin(false, blocks[0])...)
			r.flying(2)
			r.conn.Release([]uint64{blocks[0].Handle, blocks[1].Handle})
			r.locate(anApp, ids[1])                         // the owner has read all that came before
			r.held(2, 2)                                    // the first, and the one just located
			r.begin(false, blocks[0])[0].check(data[0], "") // the owner, who knows nothing yet, serves it
			if breaks {
				r.direct.Break()
			} else {
				resume()
			}
			for _, one := range reads {
				<-one.ended
				if be := (*shuffle.BlockError)(nil); breaks && errors.As(one.err, &be) {
					continue // over a stream, behind the release
				}
				one.check(data[0], one.by)
				if !breaks && one.by != transporttest.DirectName {
					t.Errorf("it came by %q", one.by)
				}
			}
			r.held(1, 1)
		})
	}
}

// Memory that cannot be read into directly is filled over the streams, beside such that can.
func TestUnknownMemory(t *testing.T) {
	r := newDirectRig(t, never)
	r.direct.Unknown(func(dst []byte) bool { return len(dst) < 1000 })
	ids, data := r.src.Add(5000, 999, 300000, 10)
	for range 2 {
		for i, one := range r.begin(true, r.locate(anApp, ids...)...) {
			one.check(data[i], map[bool]string{true: transporttest.DirectName}[i%2 == 0])
		}
	}
	r.held(0, 0)
	if n := r.direct.Count(); n.Reads != 4 || n.Dials != 1 || n.Conns != 1 {
		t.Errorf("%+v", n)
	}
}

// Each application has a connection of its own; what is exposed for one is not read over that of another.
func TestDirectApplications(t *testing.T) {
	r := newDirectRig(t, never)
	other := shuffle.App{ID: "other", Token: [32]byte{2}}
	r.src.Admit(other)
	ids, data := r.src.Add(5000, 300)
	for range 3 {
		for _, app := range []shuffle.App{anApp, other} {
			r.fetch(app, ids, data, transporttest.DirectName)
		}
	}
	if n := r.direct.Count(); n.Dials != 2 || n.Conns != 2 || n.Reads != 12 {
		t.Errorf("%+v", n)
	}
	if n := testutil.ToFloat64(r.metrics.Peers(transporttest.DirectName)); n != 2 {
		t.Errorf("%v connections counted", n)
	}
	mine, theirs := r.locate(anApp, ids[0])[0], r.locate(other, ids[1])[0]
	both := &readOf{t: t, dst: make([]byte, 400), ended: make(chan struct{})}
	r.conn.Read([]shuffle.ReadRequest{{
		Ranges:  []shuffle.Range{{Handle: mine.Handle, Offset: 4900, Length: 100}, {Handle: theirs.Handle, Length: 300}},
		Release: []uint64{mine.Handle, theirs.Handle}, Dst: both.dst,
		By: func(by string) { both.by = by },
		Done: func(err error) {
			both.err = err
			close(both.ended)
		},
	}})
	both.check(append(bytes.Clone(data[0][4900:]), data[1]...), "")
	r.held(0, 0)
	if n := testutil.ToFloat64(r.metrics.PeerLosses(transporttest.DirectName)); n != 0 {
		t.Errorf("%v connections broke", n)
	}
}
