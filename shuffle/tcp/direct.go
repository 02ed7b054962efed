package tcp

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"weft/internal/metrics"
	"weft/shuffle"
)

// featureDirect is the bit of Hello's features for reading without the owner's processor.
const featureDirect = 1

// direct is how one bundle's blocks are read without the owner's processor: for each application a way, and which blocks lie where. What fails there,
// or cannot be done, is read over the bundle's streams: under the same handles, so that nothing is lost.
type direct struct {
	of     *bundle
	opts   Options
	ctx    context.Context // ends with the bundle
	cancel context.CancelFunc
	tasks  sync.WaitGroup // dials and watches; grows only while mu is held and not ended

	mu    sync.Mutex
	ended bool
	ways  map[shuffle.App]*way
	held  map[uint64]*held // by handle
}

// way is the connection for one application.
type way struct {
	app      shuffle.App
	conn     shuffle.DirectConn // nil: there is none
	failed   int                // reads of conn that did
	dialling bool
	failing  bool                  // the last dial did
	next     time.Time             // not dialled before
	waiting  []shuffle.ReadRequest // for the end of dialling
}

// waits tells whether reads wait for the end of dialling: where it failed before they have waited once, and go over TCP meanwhile.
func (w *way) waits() bool { return w.dialling && !w.failing }

func newDirect(b *bundle, opts Options) *direct {
	d := &direct{of: b, opts: opts, ways: make(map[shuffle.App]*way), held: make(map[uint64]*held)}
	d.ctx, d.cancel = context.WithCancel(context.Background())
	return d
}

// ask tells what a Locate for the application has to ask for: where its blocks lie, and an invitation.
func (d *direct) ask(app shuffle.App) (parts, invitation bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.way(app)
	switch {
	case d.ended:
		return false, false
	case w.conn != nil || w.dialling:
		return true, false
	default:
		again := !time.Now().Before(w.next)
		return again, again
	}
}

// way is the application's. mu is held.
func (d *direct) way(app shuffle.App) *way {
	w := d.ways[app]
	if w != nil {
		return w
	}
	for old, w := range d.ways { // applications come and go
		if w.conn == nil && !w.dialling && time.Now().After(w.next) {
			delete(d.ways, old)
		}
	}
	w = &way{app: app}
	d.ways[app] = w
	return w
}

// accept dials, unless that is done or of no use now. mu is held.
func (d *direct) accept(w *way, invitation string) {
	if d.ended || w.conn != nil || w.dialling || time.Now().Before(w.next) {
		return
	}
	w.dialling = true
	d.tasks.Go(func() { d.dial(w, invitation) })
}

func (d *direct) dial(w *way, invitation string) {
	ctx, cancel := context.WithTimeout(d.ctx, d.opts.ConnectTimeout)
	defer cancel()
	conn, err := d.opts.Direct.Dial(ctx, w.app, []byte(invitation))
	name, result := d.opts.Direct.Name(), metrics.OK
	if err != nil {
		result = metrics.Failed
	}
	d.mu.Lock()
	waiting := w.waiting
	w.dialling, w.failing, w.waiting = false, err != nil, nil
	switch {
	case err != nil:
		w.next = time.Now().Add(d.opts.Backoff)
		if !d.ended {
			d.of.log.Warn("a peer's blocks come over TCP: no connection by "+name, "app", w.app.ID, "err", err, "next_try", d.opts.Backoff)
		}
	default:
		w.conn = conn
		d.of.log.Info("a peer's blocks come by "+name+" from now on", "app", w.app.ID)
		d.opts.Metrics.Peers(name).Inc()
		d.tasks.Go(func() { d.watch(w, conn) })
	}
	d.mu.Unlock()
	d.opts.Metrics.PeerDials(name, result).Inc()
	for i := range waiting {
		d.given(&waiting[i], false)
	}
	d.of.Read(waiting)
}

// watch closes a connection that broke, or any at the end, which is no loss then.
func (d *direct) watch(w *way, conn shuffle.DirectConn) {
	name := d.opts.Direct.Name()
	select {
	case <-conn.Gone():
	case <-d.ctx.Done():
	}
	d.mu.Lock()
	broke := !d.ended
	w.conn, w.next = nil, time.Now().Add(d.opts.Backoff)
	d.mu.Unlock()
	err := conn.Close()
	d.opts.Metrics.Peers(name).Dec()
	d.mu.Lock()
	failed := w.failed
	w.failed = 0
	d.mu.Unlock()
	if broke {
		d.opts.Metrics.PeerLosses(name).Inc()
		level := slog.LevelInfo // as when the application ends
		if failed > 0 {
			level = slog.LevelWarn
		}
		d.of.log.Log(context.Background(), level, "the "+name+" connection to a peer ended; its blocks come over TCP",
			"app", w.app.ID, "err", conn.Err(), "reads", failed, "next_try", d.opts.Backoff)
	}
	if err != nil {
		d.of.log.Error("an RDMA connection was not closed; memory that it may still write to is not used again", "app", w.app.ID, "err", err)
	}
}

// end lets nothing more begin. cancel, when the streams have ended, then ends what has begun: it is not to be read over them.
func (d *direct) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ended = true
}

// close waits after that until nothing is read directly any more.
func (d *direct) close() { d.tasks.Wait() }

// up tells whether there is a way now.
func (d *direct) up() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, w := range d.ways {
		if w.conn != nil {
			return true
		}
	}
	return false
}
