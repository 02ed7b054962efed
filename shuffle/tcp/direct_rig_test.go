package tcp_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

// directRig is a connection whose two sides have the same Direct.
type directRig struct {
	t       *testing.T
	src     *transporttest.Source
	direct  *transporttest.Direct
	metrics *metrics.Set // of the reader
	server  *tcp.Server
	conn    shuffle.Conn
}

// never is a back-off that no test sees the end of.
const never = time.Hour

func newDirectRig(t *testing.T, backoff time.Duration) *directRig {
	t.Helper()
	r := &directRig{t: t, src: transporttest.NewSource(t), direct: transporttest.NewDirect(), metrics: metrics.NewSet()}
	r.connect(r.direct, r.direct, backoff)
	return r
}

// connect connects a reader to an owner with what each of them has.
func (r *directRig) connect(reader, owner shuffle.Direct, backoff time.Duration) {
	r.t.Helper()
	r.t.Cleanup(func() { // after the ends of both sides
		if n := r.direct.Count(); n.Flying+n.Exposed+n.Invited+n.Conns != 0 {
			r.t.Errorf("something is left: %+v", n)
		}
	})
	r.src.Admit(anApp)
	opts := options(ownerID)
	opts.Direct, opts.Metrics = owner, metrics.NewSet()
	var peer shuffle.PeerAddr
	r.server, peer = listenWith(r.t, opts, r.src, "tcp", "127.0.0.1")
	opts = options(readerID)
	opts.Direct, opts.Metrics, opts.Backoff = reader, r.metrics, backoff
	r.conn = dialWith(r.t, opts, peer)
}

var anApp = shuffle.App{ID: "app", Token: [32]byte{1}}

// locate asks for blocks, none of which comes eagerly.
func (r *directRig) locate(app shuffle.App, ids ...shuffle.BlockID) []shuffle.Located {
	r.t.Helper()
	type answer struct {
		l   []shuffle.Located
		err error
	}
	ended := make(chan answer, 1)
	r.conn.Locate(&shuffle.LocateRequest{App: app, Blocks: ids}, nil, func(l []shuffle.Located, err error) { ended <- answer{l, err} })
	a := <-ended
	if a.err != nil {
		r.t.Fatal(a.err)
	}
	for i := range a.l {
		if a.l[i].Err != nil {
			r.t.Fatal(a.l[i].Err)
		}
	}
	return a.l
}

// readOf is a Read under way.
type readOf struct {
	t     *testing.T
	dst   []byte
	by    string
	err   error
	ended chan struct{}
}

// begin begins reads of whole blocks, together. With release their handles are given up by them.
func (r *directRig) begin(release bool, blocks ...shuffle.Located) []*readOf {
	var all []*readOf
	var reqs []shuffle.ReadRequest
	for _, b := range blocks {
		one := &readOf{t: r.t, dst: make([]byte, b.Length), ended: make(chan struct{})}
		req := shuffle.ReadRequest{
			Ranges: []shuffle.Range{{Handle: b.Handle, Length: b.Length}}, Dst: one.dst,
			By: func(by string) { one.by = by },
			Done: func(err error) {
				one.err = err
				close(one.ended) // once
			},
		}
		if release {
			req.Release = []uint64{b.Handle}
		}
		all, reqs = append(all, one), append(reqs, req)
	}
	r.conn.Read(reqs)
	return all
}

// check fails unless the read ended with these bytes, which came so.
func (one *readOf) check(want []byte, by string) {
	one.t.Helper()
	<-one.ended
	if one.err != nil || !bytes.Equal(one.dst, want) {
		one.t.Errorf("other bytes, or %v", one.err)
	}
	if one.by != by {
		one.t.Errorf("they came by %q, want %q", one.by, by)
	}
}

// lost fails unless the read ended because the connection did.
func (one *readOf) lost() {
	one.t.Helper()
	<-one.ended
	var be *shuffle.BlockError
	if one.err == nil || errors.As(one.err, &be) || one.by != "" {
		one.t.Errorf("%v by %q, want that the connection ended", one.err, one.by)
	}
}

// fetch locates and reads blocks, gives them up, and expects them to come so.
func (r *directRig) fetch(app shuffle.App, ids []shuffle.BlockID, data [][]byte, by string) {
	r.t.Helper()
	for i, one := range r.begin(true, r.locate(app, ids...)...) {
		one.check(data[i], by)
	}
}

// held waits until the owner holds n blocks open, and exposes as many as it is told.
func (r *directRig) held(n, exposed int) {
	r.t.Helper()
	r.direct.Await(r.t, "blocks held open", func(c transporttest.DirectCount) bool { return r.src.Open() == n && c.Exposed == exposed })
}
