package rdma

import (
	"errors"
	"math/rand/v2"
	"sync"
	"syscall"
	"testing"
	"time"

	"weft/verbs"
)

// fakeQP is a queue pair without a device: what was posted completes when the test says so. It knows no more of requests than their number.
type fakeQP struct {
	mu     sync.Mutex
	taken  int // requests posted
	accept int // how many more are, then posting fails; negative: any number
	broken bool
}

func (p *fakeQP) PostSend(b *verbs.SendBatch) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := b.Len()
	b.Reset()
	if p.accept >= 0 && n > p.accept {
		n = p.accept
		p.taken += n
		return n, syscall.ENOMEM
	}
	if p.accept >= 0 {
		p.accept -= n
	}
	p.taken += n
	return n, nil
}

func (p *fakeQP) ToError() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = true
	return nil
}

// outcomes are the errors of READs by their number, and how often each ended.
type outcomes struct {
	mu    sync.Mutex
	errs  []error
	times []int
}

func newOutcomes(n int) *outcomes { return &outcomes{errs: make([]error, n), times: make([]int, n)} }

func (o *outcomes) read(i int) Read {
	return Read{Done: func(err error) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.errs[i] = err
		o.times[i]++
	}}
}

func (o *outcomes) ended() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, t := range o.times {
		n += t
	}
	return n
}

func (o *outcomes) once(t *testing.T) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, n := range o.times {
		if n != 1 {
			t.Errorf("READ %d ended %d times", i, n)
		}
	}
}

// finish gives back what the queue has of C's memory.
func finish(t *testing.T, q *queue) {
	t.Helper()
	q.fail(errClosed)
	if err := q.destroyed(); err != nil {
		t.Error(err)
	}
}

// ids are those of READs in flight.
func (q *queue) ids() (all []uint64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for slot := range q.depth {
		if q.flow.InFlight(slot) {
			all = append(all, q.generation|uint64(slot))
		}
	}
	return all
}

func wcs(status verbs.WCStatus, ids ...uint64) (all []verbs.WC) {
	for _, id := range ids {
		all = append(all, verbs.NewWC(id, 7, status))
	}
	return all
}

func TestQueueRefillsByHalves(t *testing.T) {
	qp := &fakeQP{accept: -1}
	q := newQueue(qp, 8, 1<<20)
	defer finish(t, q)
	o := newOutcomes(20)
	for i := range 20 {
		q.read([]Read{o.read(i)})
	}
	if qp.taken != 8 {
		t.Errorf("%d posted, want what fits", qp.taken)
	}
	ids := q.ids()
	q.complete(wcs(verbs.WCSuccess, ids[:3]...))
	if qp.taken != 8 || o.ended() != 3 {
		t.Errorf("%d posted, %d ended: less than half is free", qp.taken, o.ended())
	}
	q.complete(wcs(verbs.WCSuccess, ids[3:4]...))
	if qp.taken != 12 {
		t.Errorf("%d posted with half of the queue free", qp.taken)
	}
}

// What is posted is bounded by bytes, too, and a READ that comes later goes before those of a long stream.
func TestQueueTakesTurns(t *testing.T) {
	qp := &fakeQP{accept: -1}
	q := newQueue(qp, 64, 4*maxRead)
	o := newOutcomes(21)
	var long []Read
	for i := range 20 {
		r := o.read(i)
		r.Stream, r.Local.Len = 1, maxRead
		long = append(long, r)
	}
	q.read(long)
	short := o.read(20)
	short.Stream, short.Local.Len = 2, 1000
	q.read([]Read{short})
	if qp.taken != 4 {
		t.Errorf("%d posted, want what fits the window", qp.taken)
	}
	ids := q.ids()
	q.complete(wcs(verbs.WCSuccess, ids[0]))
	if qp.taken != 4 {
		t.Errorf("%d posted with a quarter of the window free", qp.taken)
	}
	q.complete(wcs(verbs.WCSuccess, ids[1]))
	if qp.taken != 6 {
		t.Errorf("%d posted with half of the window free, want two more", qp.taken)
	}
	q.fail(errClosed) // ends what waits
	if o.ended() != 2+15 || o.times[20] != 0 {
		t.Errorf("%d ended, the short one %d times: it should have been posted", o.ended(), o.times[20])
	}
	finish(t, q)
	o.once(t)
}

// Posting fails after some: those have to be flushed, the others end at once, and none twice.
func TestPostingFails(t *testing.T) {
	qp := &fakeQP{accept: 3}
	q := newQueue(qp, 8, 1<<20)
	o := newOutcomes(20)
	var all []Read
	for i := range 20 {
		all = append(all, o.read(i))
	}
	q.read(all)
	if o.ended() != 17 || !qp.broken || !closed(q.gone) {
		t.Errorf("%d ended, queue pair in error: %v", o.ended(), qp.broken)
	}
	if q.drained(time.Millisecond, nil) {
		t.Error("nothing is in flight, it says, and three are")
	}
	q.complete(wcs(verbs.WCWRFlushErr, q.ids()...))
	if !q.drained(time.Minute, nil) {
		t.Error("something is in flight still")
	}
	o.once(t)
	for i, err := range o.errs {
		if !errors.Is(err, syscall.ENOMEM) {
			t.Errorf("READ %d: %v, want the cause of all", i, err)
		}
	}
	finish(t, q)
}

// A device that flushes nothing: what is in flight ends with the queue pair, and what it says after that is nobody's.
func TestDeviceThatDoesNotFlush(t *testing.T) {
	q := newQueue(&fakeQP{accept: -1}, 4, 1<<20)
	o := newOutcomes(6)
	for i := range 6 {
		q.read([]Read{o.read(i)})
	}
	late := q.ids()
	cause := errors.New("port down")
	q.fail(cause)
	if o.ended() != 2 {
		t.Errorf("%d ended, want the two that waited", o.ended())
	}
	nobody := make(chan struct{})
	close(nobody)
	if q.drained(time.Minute, nobody) {
		t.Error("drained, though nobody polls")
	}
	finish(t, q)
	q.complete(wcs(verbs.WCSuccess, late...))
	o.once(t)
	for i, err := range o.errs {
		if !errors.Is(err, cause) {
			t.Errorf("READ %d: %v", i, err)
		}
	}
}

// Completions of a queue pair that is gone are not taken for those of another that got its number.
func TestCompletionsOfAnEarlierQueuePair(t *testing.T) {
	old, q := newQueue(&fakeQP{accept: -1}, 4, 1<<20), newQueue(&fakeQP{accept: -1}, 4, 1<<20)
	o := newOutcomes(2)
	old.read([]Read{o.read(0)})
	q.read([]Read{o.read(1)})
	q.complete(wcs(verbs.WCSuccess, old.ids()...))
	if o.ended() != 0 {
		t.Error("a READ ended by another's completion")
	}
	q.complete(append(wcs(verbs.WCWRFlushErr, old.ids()...), wcs(verbs.WCSuccess, q.ids()...)...))
	if o.ended() != 1 || o.errs[1] != nil || closed(q.gone) {
		t.Errorf("%d ended: %v", o.ended(), o.errs)
	}
	finish(t, old)
	finish(t, q)
	o.once(t)
}

// Who closes is told when the last Done has returned, not when it is due.
func TestDrainedWaitsForTheLastDone(t *testing.T) {
	q := newQueue(&fakeQP{accept: -1}, 4, 1<<20)
	inside, leave := make(chan struct{}), make(chan struct{})
	q.read([]Read{{Done: func(error) { close(inside); <-leave }}})
	ids := q.ids()
	q.fail(errClosed)
	go q.complete(wcs(verbs.WCWRFlushErr, ids...))
	<-inside
	if q.drained(10*time.Millisecond, nil) {
		t.Error("drained while a Done is being called")
	}
	close(leave)
	if !q.drained(time.Minute, nil) {
		t.Error("not drained after the last")
	}
	finish(t, q)
}

// READs from many goroutines, completions in any order, some Dones that read again, an end at a random time: each ends once.
func TestQueueAtRandom(t *testing.T) {
	for seed := range uint64(50) {
		const readers, each = 4, 100
		qp := &fakeQP{accept: -1}
		if seed%5 == 0 {
			qp.accept = int(seed) * 7
		}
		q := newQueue(qp, 1+int(seed%9), 1<<20)
		o := newOutcomes(2 * readers * each)
		stop, polled := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(polled)
			rng := rand.New(rand.NewPCG(seed, 1))
			for {
				ids := q.ids()
				if len(ids) == 0 && closed(stop) {
					return
				}
				rng.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
				status := verbs.WCSuccess
				if qp.mu.Lock(); qp.broken {
					status = verbs.WCWRFlushErr
				}
				qp.mu.Unlock()
				q.complete(wcs(status, ids[:(len(ids)+1)/2]...))
			}
		}()
		var wg sync.WaitGroup
		for g := range readers {
			wg.Go(func() {
				rng := rand.New(rand.NewPCG(seed, uint64(g)+2))
				for i := 0; i < each; {
					n := min(1+rng.IntN(10), each-i)
					var rs []Read
					for range n {
						first, second := o.read(2*(g*each+i)), o.read(2*(g*each+i)+1)
						rs = append(rs, Read{Done: func(err error) { first.Done(err); q.read([]Read{second}) }})
						i++
					}
					q.read(rs)
				}
			})
		}
		wg.Wait()
		q.fail(errClosed)
		if !q.drained(time.Minute, nil) {
			t.Fatal("not drained")
		}
		close(stop)
		<-polled
		o.once(t)
		finish(t, q)
	}
}
