package transporttest

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"testing"
	"time"

	"weft/shuffle"
)

// Direct is a shuffle.Direct within one process, which both daemons of a test share. It reads by Found.ReadAt, and is as strict as a device: whoever reads
// with a key that was hidden, with one of another application, or outside of a part, loses the connection.
type Direct struct {
	mu       sync.Mutex
	last     uint32 // key
	exposed  map[uint32]*exposed
	invited  map[*invited]struct{}
	conns    map[*directConn]struct{}
	count    DirectCount
	dials    gate
	reads    gate
	failure  error // of dials
	every    int   // so many reads: one breaks its connection
	tried    int   // reads that have ended
	stranger func(dst []byte) bool
}

// DirectCount is what a Direct has done, and what there is now.
type DirectCount struct {
	Dials, Reads, Exposures, Invitations int // ever; Reads: those that ended well
	Flying, Exposed, Invited, Conns      int // now: reads begun, keys, invitations not withdrawn, connections not closed
}

// DirectName is the name of every Direct.
const DirectName = "direct"

// NewDirect returns a Direct that works.
func NewDirect() *Direct {
	return &Direct{exposed: make(map[uint32]*exposed), invited: make(map[*invited]struct{}), conns: make(map[*directConn]struct{})}
}

// gate lets pass, or not until it is opened.
type gate chan struct{}

// stop closes the gate until the returned function is called. mu of its Direct guards it.
func (d *Direct) stop(g *gate) (open func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	closed := make(gate)
	*g = closed
	return sync.OnceFunc(func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		*g = nil
		close(closed)
	})
}

// pass waits until the gate is open, or one of the two comes to its end.
func (d *Direct) pass(g *gate, end <-chan struct{}) {
	d.mu.Lock()
	closed := *g
	d.mu.Unlock()
	if closed == nil {
		return
	}
	select {
	case <-closed:
	case <-end:
	}
}

// StopDials makes every Dial wait for its context's end, or until the returned function is called.
func (d *Direct) StopDials() (resume func()) { return d.stop(&d.dials) }

// StopReads makes every read wait for its connection's end, or until the returned function is called.
func (d *Direct) StopReads() (resume func()) { return d.stop(&d.reads) }

// FailDials makes every Dial fail, also one that waits; nil: none any more.
func (d *Direct) FailDials(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failure = err
}

// BreakEvery lets one of n reads break its connection.
func (d *Direct) BreakEvery(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.every = n
}

// Unknown says which memory cannot be read into.
func (d *Direct) Unknown(stranger func(dst []byte) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stranger = stranger
}

// Break breaks all connections.
func (d *Direct) Break() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := range d.conns {
		c.end(errFault)
	}
}

// Count is how it stands.
func (d *Direct) Count() DirectCount {
	d.mu.Lock()
	defer d.mu.Unlock()
	n := d.count
	n.Exposed, n.Invited, n.Conns = len(d.exposed), len(d.invited), len(d.conns)
	return n
}

// Await waits until it stands as ok wants.
func (d *Direct) Await(t testing.TB, what string, ok func(DirectCount) bool) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		switch n := d.Count(); {
		case ok(n):
			return
		case time.Now().After(end):
			t.Fatalf("%s: %+v", what, n)
		}
	}
}

// Name is DirectName.
func (d *Direct) Name() string { return DirectName }

// exposed is a block that can be read. Its two parts do not adjoin.
type exposed struct {
	app   shuffle.App
	found shuffle.Found
	parts []shuffle.Part

	mu     sync.RWMutex // held while the bytes are copied
	hidden bool
}

// Expose implements shuffle.Direct.
func (d *Direct) Expose(app shuffle.App, f *shuffle.Found) ([]shuffle.Part, func(), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.last++
	d.count.Exposures++
	key, base := d.last, uint64(1)<<63|uint64(d.last)<<34
	e := &exposed{app: app, found: *f}
	if half := f.Length / 2; half > 0 {
		e.parts = append(e.parts, shuffle.Part{Addr: base, Key: key, Length: half})
		base += uint64(half) + 1
	}
	e.parts = append(e.parts, shuffle.Part{Addr: base, Key: key, Length: f.Length - f.Length/2})
	d.exposed[key] = e
	return e.parts, func() { d.hide(key, e) }, nil
}

func (d *Direct) hide(key uint32, e *exposed) {
	d.mu.Lock()
	if d.exposed[key] != e {
		panic("a block was hidden twice")
	}
	delete(d.exposed, key)
	d.mu.Unlock()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.hidden = true
}

var errAccess = errors.New("fault: remote access error")

// read copies one part's bytes.
func (e *exposed) read(app shuffle.App, dst []byte, addr uint64) error {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.hidden || e.app != app {
		return errAccess
	}
	off := int64(0)
	for _, p := range e.parts {
		if n := uint64(len(dst)); addr >= p.Addr && n <= uint64(p.Length) && addr-p.Addr <= uint64(p.Length)-n {
			return e.found.ReadAt(dst, off+int64(addr-p.Addr))
		}
		off += p.Length
	}
	return errAccess
}

// invited is an invitation, and the connection that came of it.
type invited struct {
	app  shuffle.App
	word string // "": used
	conn *directConn
}

// Invite implements shuffle.Direct.
func (d *Direct) Invite(app shuffle.App) ([]byte, func(), error) {
	word := make([]byte, 16)
	_, _ = rand.Read(word) // never fails
	i := &invited{app: app, word: string(word)}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.count.Invitations++
	d.invited[i] = struct{}{}
	return word, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.invited, i)
		if i.conn != nil {
			i.conn.end(errors.New("fault: the owner ended it"))
		}
	}, nil
}

// Dial implements shuffle.Direct.
func (d *Direct) Dial(ctx context.Context, app shuffle.App, invitation []byte) (shuffle.DirectConn, error) {
	d.mu.Lock()
	d.count.Dials++
	d.mu.Unlock()
	d.pass(&d.dials, ctx.Done())
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case d.failure != nil:
		return nil, d.failure
	}
	for i := range d.invited {
		if i.word == "" || i.word != string(invitation) {
			continue
		}
		i.word = ""
		if i.app != app {
			return nil, errors.New("fault: an invitation for another application")
		}
		i.conn = &directConn{of: d, app: app, gone: make(chan struct{})}
		d.conns[i.conn] = struct{}{}
		return i.conn, nil
	}
	return nil, errors.New("fault: not invited")
}
