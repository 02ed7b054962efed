package model

// event is one thing that happens to one fetch.
type event struct {
	at    float64 // seconds since the phase began
	order uint64  // of scheduling: what happens at the same time happens in this order
	fetch int32   // index into the network's fetches
	kind  kind
}

type kind uint8

const (
	ask    kind = iota // the question where the block is reaches the driver
	send               // the owner has the request, and its next piece waits for its link
	arrive             // the piece begins to leave the owner
	done               // the reader has all of the piece
)

func (e event) before(o event) bool {
	return e.at < o.at || e.at == o.at && e.order < o.order
}

// queue is a binary heap of events. It is not container/heap, whose interface costs a third of a run of two million fetches.
type queue struct {
	heap []event
	next uint64
}

func (q *queue) push(at float64, fetch int32, k kind) {
	e := event{at, q.next, fetch, k}
	q.next++
	q.heap = append(q.heap, e)
	i := len(q.heap) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !e.before(q.heap[parent]) {
			break
		}
		q.heap[i] = q.heap[parent]
		i = parent
	}
	q.heap[i] = e
}

func (q *queue) pop() event {
	first := q.heap[0]
	n := len(q.heap) - 1
	e := q.heap[n]
	q.heap = q.heap[:n]
	i := 0
	for {
		child := 2*i + 1
		if child >= n {
			break
		}
		if child+1 < n && q.heap[child+1].before(q.heap[child]) {
			child++
		}
		if !q.heap[child].before(e) {
			break
		}
		q.heap[i] = q.heap[child]
		i = child
	}
	if n > 0 {
		q.heap[i] = e
	}
	return first
}
