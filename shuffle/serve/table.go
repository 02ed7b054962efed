package serve

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"weft/internal/invariants"
	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/quota"
)

// MaxHandles is how many blocks of one holder a table may hold open. A reader has at a time a request's worth of them for every task on its
// node; what is above fails with ReasonNoSpace.
const MaxHandles = 1 << 16

var openBlocks = invariants.NewCounter("blocks held open for peers")

// Table is the handles of one reader's connection, or group of connections. Its methods may be called from many goroutines.
type Table struct {
	blocks, bytes prometheus.Counter
	first         uint64

	mu     sync.Mutex
	last   uint64
	open   map[uint64]*Block
	held   map[string]int // how many of them, by holder
	closed bool
}

// Block is a block held open. Whoever has it from Acquire gives it back with Done.
type Block struct {
	shuffle.Found

	share quota.Share // of whoever holds it open

	// Guarded by the table's mu:
	users  int   // reads under way, and one for the handle
	served int64 // bytes sent
	used   time.Time
}

// TableBits is how many of a handle's low bits count blocks within their table.
const TableBits = 40

// NewTable returns an empty table, which counts what it serves in m as moved by transport. The high bits of its handles are number, so that
// none of them is a handle of another table.
func NewTable(m *metrics.Set, transport string, number uint64) *Table {
	return &Table{
		first:  number << TableBits,
		open:   make(map[uint64]*Block),
		held:   make(map[string]int),
		blocks: m.BlocksTotal(transport, metrics.Served),
		bytes:  m.BytesTotal(transport, metrics.Served),
	}
}

// add holds f open in b under a new handle, of the holder's share.
func (t *Table) add(b *Block, f *shuffle.Found, share quota.Share, now time.Time) (uint64, *shuffle.BlockError) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return 0, shuffle.Errorf(shuffle.ReasonPeerLost, "the connection ended")
	case t.held[share.Holder] >= MaxHandles:
		return 0, shuffle.Errorf(shuffle.ReasonNoSpace, "%d blocks are held open for this reader already", t.held[share.Holder])
	case !share.Take(1):
		return 0, shuffle.Errorf(shuffle.ReasonNoSpace, "the application holds as many blocks open as its share (weft.app.share) allows")
	}
	t.last++
	t.held[share.Holder]++
	b.Found, b.share, b.users, b.used = *f, share, 1, now
	handle := t.first + t.last
	t.open[handle] = b
	openBlocks.Add(1)
	return handle, nil
}

// Acquire is the block of r, for reading r; the caller gives it back with Done.
func (t *Table) Acquire(r shuffle.Range) (*Block, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.open[r.Handle]
	if b == nil {
		return nil, shuffle.Errorf(shuffle.ReasonPeerRefused, "handle %d is not open: released, or not read for too long", r.Handle)
	}
	if r.Offset < 0 || r.Length < 0 || r.Offset > b.Length-r.Length {
		return nil, shuffle.Errorf(shuffle.ReasonInternal, "range of %d bytes at %d lies outside of a block of %d bytes",
			r.Length, r.Offset, b.Length)
	}
	b.users++
	return b, nil
}

// Done ends a use that Acquire began. served is how many bytes of the block were sent.
func (t *Table) Done(b *Block, served int64) {
	t.count(0, served)
	t.mu.Lock()
	b.served += served
	b.used = time.Now()
	last := b.drop()
	t.mu.Unlock()
	if last {
		t.close(b)
	}
}

// Release gives handles up; unknown ones are nothing to it. A block goes when its last read is done.
func (t *Table) Release(handles []uint64) {
	var gone []*Block
	t.mu.Lock()
	for _, h := range handles {
		if b := t.open[h]; b != nil {
			delete(t.open, h)
			if t.held[b.share.Holder]--; t.held[b.share.Holder] == 0 {
				delete(t.held, b.share.Holder)
			}
			if b.drop() {
				gone = append(gone, b)
			}
		}
	}
	t.mu.Unlock()
	for _, b := range gone {
		t.close(b)
	}
}

// Expire gives up the handles that were not read since the given time.
func (t *Table) Expire(since time.Time) int {
	var old []uint64
	t.mu.Lock()
	for h, b := range t.open {
		if b.users == 1 && b.used.Before(since) {
			old = append(old, h)
		}
	}
	t.mu.Unlock()
	t.Release(old)
	return len(old)
}

// Close gives all handles up. Blocks that are being read go with Done.
func (t *Table) Close() {
	t.mu.Lock()
	t.closed = true
	all := make([]uint64, 0, len(t.open))
	for h := range t.open {
		all = append(all, h)
	}
	t.mu.Unlock()
	t.Release(all)
}

func (t *Table) count(blocks int, bytes int64) {
	if blocks > 0 {
		t.blocks.Add(float64(blocks))
	}
	if bytes > 0 {
		t.bytes.Add(float64(bytes))
	}
}

// drop takes one user off and tells whether it was the last. The table's mu is held.
func (b *Block) drop() bool {
	b.users--
	invariants.Check(b.users >= 0, "block given back too often")
	return b.users == 0
}

// close ends a block that nobody uses any more. It counts as served if all of it was sent.
func (t *Table) close(b *Block) {
	if b.served >= b.Length {
		t.count(1, 0)
	}
	openBlocks.Add(-1)
	closeFound(&b.Found)
	b.share.Give(1)
}
