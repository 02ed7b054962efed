package daemon

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
	"weft/jvmbridge/bridgetest"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

const (
	// fetchTimeout is without progress; short, as some faults end by it alone.
	fetchTimeout = 1500 * time.Millisecond
	// hang is what no fetch may take, whatever is broken meanwhile.
	hang = patience
)

// way is an application of its own: an owner at one daemon, a reader at the other, and a link between the daemons that it has for itself. Ways
// are broken independently of each other; one way by one fault after the other.
type way struct {
	*chaosRun
	n       int
	script  *transporttest.Script
	link    *link
	owner   *member
	reader  *member
	outputs []*output
	blocks  []content // those of a map output first
	silent  atomic.Bool

	mu   sync.Mutex
	done []string // the faults so far
}

// content is a block and what is in it.
type content struct {
	name   string  // "": of a map output
	output *output // nil: named
	reduce uint32
	data   []byte
}

// member is an executor that comes back when its session ends.
type member struct {
	daemon *running
	hello  func() *bridgepb.Hello
	joined func(*executor) error // registers what it has

	mu sync.RWMutex // held for writing while it joins anew
	e  *executor
}

// use calls do with the session there is, which stays mapped meanwhile.
func (m *member) use(do func(e *executor)) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	do(m.e)
}

// rejoin ends the session, if it has not ended, and begins another.
func (m *member) rejoin() error {
	m.leave()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.e != nil {
		m.e.Close()
	}
	hello := m.hello()
	client, err := bridgetest.Dial(m.daemon.BridgeSocket, hello)
	if err != nil {
		m.e = nil
		return fmt.Errorf("executor %s cannot join again: %w", hello.GetExecutorId(), err)
	}
	m.e = &executor{Client: client, name: hello.GetExecutorId(), dir: hello.GetLocalDirs()[0]}
	return m.joined(m.e)
}

// leave ends the session as the end of the process does; what it delivered can be read still.
func (m *member) leave() {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.e != nil {
		m.e.HangUp()
	}
}

func (m *member) close() {
	m.leave()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.e != nil {
		m.e.Close()
		m.e = nil
	}
}

// serve answers for the blocks in memory, unless the executor is silent.
func (w *way) serve(name string) bridgetest.Answer {
	if w.silent.Load() {
		return bridgetest.Answer{Silent: true}
	}
	for _, b := range w.blocks {
		if b.name == "" || b.name != name {
			continue
		}
		if len(b.data) > 64<<10 {
			return bridgetest.Answer{Held: b.data}
		}
		return bridgetest.Answer{Inline: b.data}
	}
	return bridgetest.Answer{}
}

// result is how a fetch ended.
type result struct {
	reasons map[int]blockpb.Reason // of the way's blocks that failed
	err     error                  // the session ended
	came    int
}

func (r result) ok() bool { return r.err == nil && len(r.reasons) == 0 }

func (r result) String() string {
	return fmt.Sprintf("%d blocks came, failed: %v, %v", r.came, r.reasons, r.err)
}

// fetch asks for these blocks, compares every byte that comes, and gives all leases back.
func (w *way) fetch(want []int, rng *rand.Rand) (r result) {
	w.reader.use(func(e *executor) { r = w.fetchBy(e, want, rng) })
	return r
}

func (w *way) fetchBy(e *executor, want []int, rng *rand.Rand) result {
	blocks, r := w.get(e, want, rng)
	if len(blocks) > 0 {
		_ = e.Release(blocks...) // fails where the session ended, which gives back all
	}
	return r
}

// get is fetch with the leases still out.
func (w *way) get(e *executor, want []int, rng *rand.Rand) ([]bridgetest.Block, result) {
	m := w.request(want)
	if rng != nil && rng.IntN(4) == 0 {
		m.Delivery = bridgepb.Delivery_DELIVERY_PIECES
	}
	ctx, cancel := context.WithTimeout(context.Background(), hang)
	defer cancel()
	f, err := e.Fetch(m)
	if err == nil && rng != nil && rng.IntN(8) == 0 {
		err = f.Cancel()
	}
	var blocks []bridgetest.Block
	if err == nil {
		blocks, err = f.Wait(ctx)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		w.fail("a fetch hangs: it did not end within %v", hang)
	}
	if err != nil {
		w.rec.Outcome("session_ended", len(want))
		return nil, result{err: err}
	}
	return blocks, w.judge(want, blocks)
}

// judge compares what came with what its owner has.
func (w *way) judge(want []int, got []bridgetest.Block) result {
	r := result{reasons: map[int]blockpb.Reason{}}
	for i, b := range got {
		at := want[i]
		switch {
		case b.Reason != 0:
			r.reasons[at] = b.Reason
			w.rec.Outcome(strings.ToLower(strings.TrimPrefix(b.Reason.String(), "REASON_")), 1)
			if b.Detail == "" || b.Reason == blockpb.Reason_REASON_INTERNAL {
				w.fail("block %d failed without a clear reason: %v %q", at, b.Reason, b.Detail)
			}
		case !bytes.Equal(b.Bytes, w.blocks[at].data):
			w.rec.Outcome("wrong", 1)
			w.fail("block %d: %d bytes that are not the %d of its owner", at, len(b.Bytes), len(w.blocks[at].data))
		case w.encrypted() != (b.Transport == tcp.NameTLS):
			w.rec.Outcome("wrong", 1)
			w.fail("block %d came over %s; the application is encrypted: %v", at, b.Transport, w.encrypted())
		default:
			r.came++
			w.rec.Outcome("right", 1)
		}
	}
	return r
}

func (w *way) request(want []int) *bridgepb.Fetch {
	m := &bridgepb.Fetch{
		PeerAddress: []string{"127.0.0.1"}, PeerPort: uint32(w.link.port()), PeerDaemonId: w.owner.daemon.DaemonID[:],
		ExecutorId: w.owner.hello().GetExecutorId(), Blocks: &blockpb.Blocks{}, TimeoutMs: uint32(fetchTimeout.Milliseconds()),
	}
	for _, at := range want {
		if b := w.blocks[at]; b.output != nil {
			addRange(m, b.output.shuffle, b.output.id, b.reduce, b.reduce+1)
		} else {
			m.Blocks.Name = append(m.Blocks.Name, b.name)
		}
	}
	return m
}

// all are all blocks of the way that fit; nil: every one.
func (w *way) all(fit func(content) bool) (want []int) {
	for i, b := range w.blocks {
		if fit == nil || fit(b) {
			want = append(want, i)
		}
	}
	return want
}

// read fetches what it likes, until the run is over.
func (w *way) read(rng *rand.Rand) {
	for w.ctx.Err() == nil {
		want := rng.Perm(len(w.blocks))[:1+rng.IntN(6)]
		sort.Ints(want)
		w.fetch(want, rng)
		time.Sleep(time.Duration(rng.IntN(int(10 * time.Millisecond)))) // so that eight of them leave a processor to others
	}
}

// until calls strike again and again until done tells that it has happened; then nil.
func (w *way) until(what string, done func() bool, strike func()) error {
	for end := time.Now().Add(patience); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("not within %v: %s", patience, what)
		}
		if strike != nil {
			strike()
		}
	}
	return nil
}

// strike fetches everything.
func (w *way) strike() { w.fetch(w.all(nil), nil) }
