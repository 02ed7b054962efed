package rdma

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"weft/internal/invariants"
	"weft/verbs"
)

// Read is one READ: bytes of the peer's memory into as many of this side.
type Read struct {
	Local  verbs.SGE
	Remote verbs.Remote
	// Done is called once, with no lock held, by the completer's goroutine or by whoever ended the connection. It must not wait. Until then the device
	// may write to Local.
	Done func(error)
}

// errClosed is why READs fail that come after Close.
var errClosed = errors.New("rdma: the connection was closed")

// poster is what a queue needs of a queue pair.
type poster interface {
	PostSend(b *verbs.SendBatch) (int, error)
	ToError() error
}

// queue keeps READs in flight on one queue pair, as many as it holds; the others wait, in order. The first error is the cause, with which
// everything fails that has not completed: what waits at once, what was posted as its flush is polled.
type queue struct {
	qp         poster
	generation uint64 // upper half of its ids: completions of a queue pair that had the same number before are not taken for its own

	mu      sync.Mutex
	batch   *verbs.SendBatch
	flying  []Read // by lower half of the work request's id; Done is nil where it is free
	free    []uint64
	waiting []Read // from first on
	first   int
	err     error
	gone    chan struct{} // closed with err
	telling int           // goroutines that call Done
	dead    bool          // destroyed has ended what was in flight
	empty   sync.Cond     // nothing is in flight, and nobody calls Done

	posts, reads atomic.Uint64 // calls into C, and what they began

	ended []Read // of complete, used again
}

var generations atomic.Uint64

const (
	slotBits = 32
	slotMask = 1<<slotBits - 1
)

// newQueue keeps up to depth READs in flight on qp, whose completions have to be given to complete.
func newQueue(qp poster, depth int) *queue {
	q := &queue{qp: qp, generation: generations.Add(1) << slotBits, batch: verbs.NewSendBatch(depth, 1), flying: make([]Read, depth), free: make([]uint64, depth), gone: make(chan struct{})}
	for i := range q.free {
		q.free[i] = uint64(i)
	}
	q.empty.L = &q.mu
	return q
}

// read begins READs.
func (q *queue) read(rs []Read) {
	q.mu.Lock()
	q.waiting = append(q.waiting, rs...)
	failed := q.post(1)
	q.tell(failed)
}

// tell fails READs with the queue's error. mu is held before and not after: nobody who is called back finds it held.
func (q *queue) tell(failed []Read) {
	if len(failed) == 0 {
		q.mu.Unlock()
		return
	}
	q.telling++
	err := q.err
	q.mu.Unlock()
	for i := range failed {
		failed[i].Done(err)
	}
	q.told()
}

func (q *queue) told() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.telling--
	if q.over() {
		q.empty.Broadcast()
	}
}

// over tells whether nothing is in flight and every Done that was due was called. mu is held.
func (q *queue) over() bool { return len(q.free) == len(q.flying) && q.telling == 0 }

// post posts what waits, if least of it can go: each time is a call into C. It returns what has to fail with q.err. mu is held.
func (q *queue) post(least int) (failed []Read) {
	if q.err != nil {
		return q.drop()
	}
	waiting := q.waiting[q.first:]
	n := min(len(q.free), len(waiting))
	if n == 0 || n < min(least, len(waiting)) {
		return nil
	}
	rest := len(q.free) - n
	ids := q.free[rest:]
	for i, id := range ids {
		q.flying[id] = waiting[i]
		q.batch.Read(q.generation|id, waiting[i].Remote, verbs.Signaled, waiting[i].Local)
	}
	q.free = q.free[:rest]
	clear(waiting[:n])
	if q.first += n; 2*q.first >= len(q.waiting) { // moved at most once each, on average
		left := copy(q.waiting, q.waiting[q.first:])
		clear(q.waiting[left:])
		q.waiting, q.first = q.waiting[:left], 0
	}
	posted, err := q.qp.PostSend(q.batch)
	q.posts.Add(1)
	q.reads.Add(uint64(posted))
	if err == nil {
		return nil
	}
	for _, id := range ids[posted:] { // the device has not seen them
		failed = append(failed, q.flying[id])
		q.flying[id] = Read{}
	}
	q.free = append(q.free, ids[posted:]...)
	q.breakOff(err)
	return append(failed, q.drop()...)
}

// drop takes what waits. mu is held.
func (q *queue) drop() []Read {
	failed := q.waiting[q.first:]
	q.waiting, q.first = nil, 0
	return failed
}

// breakOff notes why the queue pair is of no more use, and has the device flush what is in flight. mu is held.
func (q *queue) breakOff(err error) {
	if q.err == nil {
		q.err = err
		close(q.gone)
		_ = q.qp.ToError() // where that fails, too, close ends what is in flight
	}
}

// complete handles completions, all of this queue pair. One goroutine does.
func (q *queue) complete(wcs []verbs.WC) {
	q.mu.Lock()
	q.telling++
	for i := range wcs {
		id := wcs[i].ID() & slotMask
		own := wcs[i].ID()&^slotMask == q.generation
		invariants.Check(!own || q.dead || q.flying[id].Done != nil, "READ %d completed, which is not in flight", id)
		if !own || q.dead {
			q.ended = append(q.ended, Read{}) // an earlier queue pair's, or destroyed has ended it
			continue
		}
		q.ended = append(q.ended, q.flying[id])
		q.flying[id] = Read{}
		q.free = append(q.free, id)
		if err := wcs[i].Err(); err != nil {
			q.breakOff(err)
		}
	}
	failed := q.post(len(q.flying) / 2)
	err := q.err
	q.mu.Unlock()
	for i := range q.ended {
		switch {
		case q.ended[i].Done == nil:
		case wcs[i].Status() == verbs.WCSuccess:
			q.ended[i].Done(nil)
		default:
			q.ended[i].Done(err)
		}
	}
	for i := range failed {
		failed[i].Done(err)
	}
	clear(q.ended)
	q.ended = q.ended[:0]
	q.told()
}

// fail ends the queue: what waits fails now, what is in flight when it was flushed.
func (q *queue) fail(err error) {
	q.mu.Lock()
	q.breakOff(err)
	q.tell(q.drop())
}

// cause is why the queue failed; nil: it has not.
func (q *queue) cause() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.err
}

// drained waits until nothing is in flight and everybody was told. The queue has failed, so the device flushes what is. It returns false where that
// takes longer than patience, or nobody polls any more.
func (q *queue) drained(patience time.Duration, nobodyPolls <-chan struct{}) bool {
	giveUp, stop := make(chan struct{}), make(chan struct{})
	go func() {
		late := time.NewTimer(patience)
		defer late.Stop()
		select {
		case <-late.C:
		case <-nobodyPolls:
		case <-stop:
			return
		}
		q.mu.Lock()
		defer q.mu.Unlock()
		close(giveUp)
		q.empty.Broadcast()
	}()
	defer close(stop)
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.over() && !closed(giveUp) {
		q.empty.Wait()
	}
	return q.over()
}

// destroyed ends what is in flight still: the queue pair has gone, and with it the device's right to the memory.
func (q *queue) destroyed() error {
	q.mu.Lock()
	q.dead = true
	var left []Read
	for id, r := range q.flying {
		if r.Done != nil {
			left = append(left, r)
			q.flying[id] = Read{}
		}
	}
	q.tell(left)
	return q.batch.Close()
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}
