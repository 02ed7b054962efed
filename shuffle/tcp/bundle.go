package tcp

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"weft/internal/metrics"
	"weft/shuffle"
)

// bundle is the connections to one peer, as one shuffle.Conn. The first carries requests and what comes with their answers, which so wait behind no large
// block; the others, the streams, carry Reads, so that more than one processor receives. When one of them ends, all do.
type bundle struct {
	conns   []*conn
	direct  *direct // nil: one of the two sides has no such thing
	metrics *metrics.Set
	log     *slog.Logger

	closed chan struct{}
	once   sync.Once

	mu   sync.Mutex
	none sync.Cond // late became 0
	late int       // operations on their way to be told something by a goroutine of their own
	apps map[shuffle.App]*opening
}

func newBundle(conns int, m *metrics.Set, log *slog.Logger) *bundle {
	b := &bundle{conns: make([]*conn, conns), metrics: m, log: log, closed: make(chan struct{}), apps: make(map[shuffle.App]*opening)}
	b.none.L = &b.mu
	return b
}

// start lets the connections work.
func (b *bundle) start(timeout time.Duration) {
	for _, c := range b.conns {
		c.join(b, timeout)
	}
	for _, c := range b.conns {
		go c.run()
	}
}

func (b *bundle) streams() []*conn { return b.conns[1:] }

// end ends all connections. When it returns, they have ended.
func (b *bundle) end(err error) {
	b.once.Do(func() {
		close(b.closed) // before anything fails, so that nobody takes b for one of use any more
		if b.direct != nil {
			b.direct.end()
		}
		outstanding := 0
		for _, c := range b.conns {
			outstanding += c.stop(err)
		}
		if b.direct != nil {
			b.direct.cancel()
		}
		if !errors.Is(err, errClosed) {
			b.log.Warn("the connection to a peer ended; blocks outstanding on it go another way", "err", err, "outstanding", outstanding)
		}
	})
}

// refuse fails an operation on a goroutine of its own.
func (b *bundle) refuse(o *op, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.late++
	go func() {
		defer b.arrive()
		o.fail(err)
	}()
}

// arrive ends what was late.
func (b *bundle) arrive() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.late--; b.late == 0 {
		b.none.Broadcast()
	}
}

// Locate implements shuffle.Conn. No block is named before the owner has proved to have the application's secret.
func (b *bundle) Locate(req *shuffle.LocateRequest, eager []byte, done func([]shuffle.Located, error)) {
	if id, ok := b.has(req.App); ok {
		b.conns[0].Locate(id, req, eager, done)
		return
	}
	b.open(req.App, func(id uint64, err error) {
		if err != nil {
			done(nil, err)
			return
		}
		b.conns[0].Locate(id, req, eager, done)
	})
}

const (
	// enough is how many bytes a stream has to receive before the next one is used. What is less keeps no second processor busy.
	enough = 1 << 20
	// stall is how long nothing comes over a stream that has something to receive until others are preferred, as if it had much more.
	stall = 50 * time.Millisecond
	worse = 1 << 30
)

// load is how many bytes each stream has to receive.
func (b *bundle) load() []int64 {
	now := time.Now().UnixNano()
	load := make([]int64, len(b.streams()))
	for i, c := range b.streams() {
		load[i] = c.unread.Load()
		if load[i] > 0 && now-c.bulk.moved.Load() > int64(stall) {
			load[i] += worse
		}
	}
	return load
}

// pick is the first stream that has not enough to receive, else the one that has least.
func pick(load []int64) int {
	least := 0
	for i, n := range load {
		if n < enough {
			return i
		}
		if n < load[least] {
			least = i
		}
	}
	return least
}

// Read implements shuffle.Conn.
func (b *bundle) Read(reqs []shuffle.ReadRequest) {
	if b.direct != nil {
		reqs = b.direct.read(reqs)
	}
	b.stream(reqs)
}

// stream reads over the streams.
func (b *bundle) stream(reqs []shuffle.ReadRequest) {
	if len(reqs) == 0 {
		return
	}
	if b.direct != nil {
		for i := range reqs { // with them the owner is told
			b.direct.forget(reqs[i].Release)
		}
	}
	load := b.load()
	by := make([]int, len(reqs))
	for i := range reqs {
		by[i] = pick(load)
		load[by[i]] += int64(len(reqs[i].Dst))
	}
	for i, c := range b.streams() {
		c.Read(reqs, by, i)
	}
}

// Release implements shuffle.Conn.
func (b *bundle) Release(handles []uint64) {
	if b.direct != nil {
		handles = b.direct.release(handles)
	}
	b.conns[0].Release(handles)
}

// HasDirect tells whether both sides can have blocks read without the owner's processor, now or later.
func (b *bundle) HasDirect() bool { return b.direct != nil }

// Direct is by what blocks are read without the owner's processor, now; "" where none are.
func (b *bundle) Direct() string {
	if b.direct == nil || !b.direct.up() {
		return ""
	}
	return b.direct.opts.Direct.Name()
}

// Close implements shuffle.Conn.
func (b *bundle) Close() error {
	b.end(errClosed)
	if b.direct != nil {
		b.direct.close()
	}
	for _, c := range b.conns {
		<-c.stopped
	}
	b.mu.Lock() // what others begin from now on is refused
	defer b.mu.Unlock()
	for b.late > 0 {
		b.none.Wait()
	}
	return nil
}

// Closed implements shuffle.Conn.
func (b *bundle) Closed() <-chan struct{} { return b.closed }
