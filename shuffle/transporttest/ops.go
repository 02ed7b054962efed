package transporttest

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weft/shuffle"
)

// patience is how long a step may take that takes no time.
const patience = 20 * time.Second

// poison is what memory is filled with that nobody may write to any more.
const poison = 0xdb

// locate is a Locate under way.
type locate struct {
	eager []byte
	ended chan struct{}
	got   []shuffle.Located
	err   error
}

// read is a Read under way.
type read struct {
	dst   []byte
	ended chan struct{}
	err   error

	arrived int    // bytes that Arrived told of
	seen    uint32 // their checksum, when they arrived
}

// caller calls a connection's methods and checks what every call has to keep to: done is called once, and not from inside.
type caller struct {
	t    testing.TB
	conn shuffle.Conn
	link Link
}

// memory is n bytes that can be received into.
func (c caller) memory(n int) []byte {
	if c.link.Memory == nil || n == 0 {
		return make([]byte, n)
	}
	return c.link.Memory(n)
}

func (c caller) once(ended chan struct{}) func(set func()) {
	var calls atomic.Int32
	return func(set func()) {
		if calls.Add(1) != 1 {
			c.t.Error("done was called twice")
			return
		}
		set()
		close(ended)
	}
}

func (c caller) locate(ids []shuffle.BlockID, eagerBytes, eagerBlock int) *locate {
	return c.locateAs(shuffle.App{ID: "app"}, ids, eagerBytes, eagerBlock)
}

// refused asks for blocks, and expects one of these reasons: of the whole request, or of each block.
func (c caller) refused(app shuffle.App, ids []shuffle.BlockID, reasons ...shuffle.Reason) {
	c.t.Helper()
	l := c.locateAs(app, ids, 1000, 1000)
	wait(c.t, l.ended, "Locate")
	errs := make([]*shuffle.BlockError, len(l.got))
	for i := range l.got {
		errs[i] = l.got[i].Err
	}
	var be *shuffle.BlockError
	if errors.As(l.err, &be) {
		errs = append(errs, be)
	}
	if len(errs) == 0 || (l.err != nil && be == nil) {
		c.t.Errorf("application %s: %v, want a reason", app, l.err)
	}
	for _, err := range errs {
		if err == nil || !slices.Contains(reasons, err.Reason) {
			c.t.Errorf("application %s: %v, want one of %v", app, err, reasons)
		}
	}
	if !bytes.Equal(l.eager, make([]byte, len(l.eager))) {
		c.t.Errorf("application %s: bytes came", app)
	}
}

func (c caller) locateAs(app shuffle.App, ids []shuffle.BlockID, eagerBytes, eagerBlock int) *locate {
	l := &locate{eager: c.memory(eagerBytes), ended: make(chan struct{})}
	once := c.once(l.ended)
	var inside sync.Mutex // done waits for it, and would so for ever if it were called from inside
	inside.Lock()
	defer inside.Unlock()
	req := &shuffle.LocateRequest{App: app, Executor: "1", Blocks: ids, EagerBlock: eagerBlock}
	c.conn.Locate(req, l.eager, func(got []shuffle.Located, err error) {
		inside.Lock()
		defer inside.Unlock()
		once(func() { l.got, l.err = got, err })
	})
	return l
}

func (c caller) read(dst []byte, release []uint64, ranges ...shuffle.Range) *read {
	return c.reads(shuffle.ReadRequest{Ranges: ranges, Release: release, Dst: dst})[0]
}

// reads begins several at a time.
func (c caller) reads(reqs ...shuffle.ReadRequest) (all []*read) {
	var inside sync.Mutex
	inside.Lock()
	defer inside.Unlock()
	for i := range reqs {
		r := &read{dst: reqs[i].Dst, ended: make(chan struct{})}
		once := c.once(r.ended)
		reqs[i].Arrived = func(n int) {
			if n <= r.arrived || n > len(r.dst) {
				c.t.Errorf("%d bytes of %d have arrived, before it were %d", n, len(r.dst), r.arrived)
			}
			r.seen, r.arrived = shuffle.UpdateChecksum(r.seen, r.dst[r.arrived:n]), n
		}
		reqs[i].Done = func(err error) {
			inside.Lock()
			defer inside.Unlock()
			once(func() { r.err = err })
		}
		all = append(all, r)
	}
	c.conn.Read(reqs)
	clear(reqs) // the connection keeps nothing of it
	return all
}

func wait(t testing.TB, ended <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatalf("%s did not end", what)
	}
}

// located waits for the answer.
func (l *locate) located(t testing.TB) []shuffle.Located {
	t.Helper()
	wait(t, l.ended, "Locate")
	if l.err != nil {
		t.Fatalf("Locate: %v", l.err)
	}
	return l.got
}

func (r *read) bytes(t testing.TB) []byte {
	t.Helper()
	wait(t, r.ended, "Read")
	if r.err != nil {
		t.Fatalf("Read: %v", r.err)
	}
	if r.seen != shuffle.Checksum(r.dst[:r.arrived]) {
		t.Errorf("%d bytes were said to be there before they were", r.arrived)
	}
	return r.dst
}

// fetch locates blocks and reads what was not sent eagerly; it returns the bytes of each.
func (c caller) fetch(ids []shuffle.BlockID, eagerBytes, eagerBlock int) [][]byte {
	c.t.Helper()
	l := c.locate(ids, eagerBytes, eagerBlock)
	got := l.located(c.t)
	all := make([][]byte, len(got))
	for i, b := range got {
		switch {
		case b.Err != nil:
			c.t.Fatalf("block %d: %v", i, b.Err)
		case b.Handle == 0:
			all[i] = l.eager[b.EagerOff : b.EagerOff+int(b.Length)]
		default:
			all[i] = c.read(c.memory(int(b.Length)), []uint64{b.Handle}, shuffle.Range{Handle: b.Handle, Length: b.Length}).bytes(c.t)
		}
		if b.Checked && shuffle.Checksum(all[i]) != b.CRC {
			c.t.Errorf("block %d: the bytes do not match the checksum", i)
		}
	}
	return all
}

func same(t testing.TB, got, want [][]byte) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d blocks, want %d", len(got), len(want))
	}
	for i := range got {
		if !bytes.Equal(got[i], want[i]) {
			t.Errorf("block %d: other bytes than its owner's (%d, want %d)", i, len(got[i]), len(want[i]))
		}
	}
}

// blockError is the BlockError that err must be: an answer of the owner, after which the connection goes on.
func blockError(t testing.TB, err error) *shuffle.BlockError {
	t.Helper()
	var be *shuffle.BlockError
	if !errors.As(err, &be) {
		t.Fatalf("error %v, want a BlockError", err)
	}
	return be
}

// broken fails unless err says that the connection is of no more use.
func broken(t testing.TB, err error) {
	t.Helper()
	var be *shuffle.BlockError
	if err == nil || errors.As(err, &be) {
		t.Errorf("error %v, want one that says that the connection ended", err)
	}
}
