package rdma

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"weft/internal/invariants"
	"weft/shuffle/flow"
	"weft/verbs"
)

// Read is one READ: bytes of the peer's memory into as many of this side.
type Read struct {
	Local  verbs.SGE
	Remote verbs.Remote
	// Stream tells which READs share a turn, and begin in their order; 0: none but this one.
	Stream uint64
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

// queue keeps READs in flight on one queue pair; which begins next, and how many are, is flow's to say. The first error is the cause, with which
// everything fails that has not completed: what waits at once, what was posted as its flush is polled.
type queue struct {
	qp         poster
	depth      int
	generation uint64 // upper half of its ids: completions of a queue pair that had the same number before are not taken for its own

	mu      sync.Mutex
	batch   *verbs.SendBatch
	flow    *flow.Flow[Read] // its slots are the lower half of the work requests' ids
	slots   []int            // of post, used again
	gone    chan struct{}    // closed when flow has a cause
	telling int              // goroutines that call Done
	dead    bool             // destroyed has ended what was in flight
	empty   sync.Cond        // nothing is in flight, and nobody calls Done

	posts, reads atomic.Uint64 // calls into C, and what they began

	ended []Read // of complete, used again
}

var generations atomic.Uint64

const (
	slotBits = 32
	slotMask = 1<<slotBits - 1
)

// newQueue keeps up to depth READs of window bytes in flight on qp, whose completions have to be given to complete.
func newQueue(qp poster, depth int, window int64) *queue {
	q := &queue{
		qp: qp, generation: generations.Add(1) << slotBits, depth: depth, batch: verbs.NewSendBatch(depth, 1), slots: make([]int, 0, depth), gone: make(chan struct{}),
		flow: flow.New[Read](flow.Limits{Credits: depth, Window: window, Quantum: maxRead}),
	}
	q.empty.L = &q.mu
	return q
}

// read begins READs.
func (q *queue) read(rs []Read) {
	q.mu.Lock()
	for i := range rs {
		if !q.flow.Add(rs[i].Stream, int64(rs[i].Local.Len), rs[i]) {
			q.tell(rs)
			return
		}
	}
	q.tell(q.post())
}

// tell fails READs with the queue's error. mu is held before and not after: nobody who is called back finds it held.
func (q *queue) tell(failed []Read) {
	if len(failed) == 0 {
		q.mu.Unlock()
		return
	}
	q.telling++
	err := q.flow.Cause()
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
func (q *queue) over() bool { return q.flow.Flying() == 0 && q.telling == 0 }

// post posts what may begin, by one call into C. It returns what has to fail with the cause. mu is held.
func (q *queue) post() (failed []Read) {
	for {
		slot, r, ok := q.flow.Next()
		if !ok {
			break
		}
		q.slots = append(q.slots, slot)
		q.batch.Read(q.generation|uint64(slot), r.Remote, verbs.Signaled, r.Local) //nolint:gosec // a slot
	}
	if len(q.slots) == 0 {
		return nil
	}
	posted, err := q.qp.PostSend(q.batch)
	q.posts.Add(1)
	q.reads.Add(uint64(posted))
	if err != nil {
		for _, slot := range q.slots[posted:] { // the device has not seen them
			r, _ := q.flow.End(slot)
			failed = append(failed, r)
		}
		failed = q.breakOff(err, failed)
	}
	q.slots = q.slots[:0]
	return failed
}

// breakOff notes why the queue pair is of no more use, and has the device flush what is in flight. It adds what waits to failed. mu is held.
func (q *queue) breakOff(err error, failed []Read) []Read {
	if q.flow.Cause() == nil {
		close(q.gone)
		_ = q.qp.ToError() // where that fails, too, close ends what is in flight
	}
	return q.flow.Lose(err, failed)
}

// complete handles completions, all of this queue pair. One goroutine does.
func (q *queue) complete(wcs []verbs.WC) {
	q.mu.Lock()
	q.telling++
	var failed []Read
	for i := range wcs {
		var r Read // stays empty where an earlier queue pair's completed, or destroyed has ended it
		if wcs[i].ID()&^slotMask == q.generation && !q.dead {
			slot := int(wcs[i].ID() & slotMask) //nolint:gosec // a slot
			var flew bool
			r, flew = q.flow.End(slot)
			invariants.Check(flew, "READ %d completed, which is not in flight", slot)
			if err := wcs[i].Err(); err != nil {
				failed = q.breakOff(err, failed)
			}
		}
		q.ended = append(q.ended, r)
	}
	if q.flow.Due() {
		failed = append(failed, q.post()...)
	}
	err := q.flow.Cause()
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
	q.tell(q.breakOff(err, nil))
}

// cause is why the queue failed; nil: it has not.
func (q *queue) cause() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.flow.Cause()
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
	for slot := range q.depth {
		if r, ok := q.flow.End(slot); ok {
			left = append(left, r)
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
