package model

import "math"

// exchange is one phase of an iteration, in which each executor fetches one block from each other one: in the order of their numbers, as
// BigDL asks for them, so that all of them ask the same few owners at a time. Zero rates are links without a limit.
type exchange struct {
	executors int
	block     float64 // bytes
	slots     int     // fetches that an executor has under way
	lookups   bool    // ask the driver before each fetch
	roundTrip float64 // seconds of a look-up at an idle driver, less its service
	service   float64 // seconds that the driver is busy with a look-up; it does one at a time
	latency   float64 // seconds of a fetch beside those of its bytes
	link      float64 // bytes per second into and out of an executor, each
	core      float64 // bytes per second of all executors together
}

// passed is what an exchange came to.
type passed struct {
	end     []float64 // when each executor had its last block
	lookups []float64 // of all seconds of an executor's fetches, those before it knew where the block was
	fetches []float64 // all seconds of an executor's fetches
	bytes   float64   // delivered to all executors
}

// turn is the bytes that a link passes on of one block before another's turn comes: what TCP hands to a device in one piece. So links are
// shared evenly between large blocks, and blocks below it go one after the other.
const turn = 64 << 10

// fetching is one of an executor's slots.
type fetching struct {
	executor, owner int32
	left            int // pieces
	began           float64
}

type network struct {
	exchange
	queue
	fetches  []fetching
	next     []int32   // by executor: the owner that it asks next
	out, in  []float64 // by executor: when its links are free
	backbone float64   // when what all executors share is free
	driver   float64   // when the driver is free
	parts    int       // pieces of a block
	piece    float64   // bytes
	passed
}

// run simulates the exchange; starts is when each executor begins.
func (x exchange) run(starts []float64) passed {
	n := x.executors
	parts := max(1, int(math.Ceil(x.block/turn)))
	w := &network{
		exchange: x, next: make([]int32, n), out: make([]float64, n), in: make([]float64, n), parts: parts, piece: x.block / float64(parts),
		passed: passed{end: make([]float64, n), lookups: make([]float64, n), fetches: make([]float64, n)},
	}
	copy(w.end, starts)
	for e, at := range starts {
		for range min(x.slots, n-1) {
			w.fetches = append(w.fetches, fetching{executor: int32(e)})
			w.begin(at, int32(len(w.fetches)-1))
		}
	}
	for len(w.heap) > 0 {
		w.handle(w.pop())
	}
	return w.passed
}

// begin gives the slot the executor's next block, if there is one.
func (w *network) begin(now float64, slot int32) {
	f := &w.fetches[slot]
	if w.next[f.executor] == f.executor {
		w.next[f.executor]++ // its own
	}
	if int(w.next[f.executor]) >= w.executors {
		return
	}
	f.owner, f.left, f.began = w.next[f.executor], w.parts, now
	w.next[f.executor]++
	if w.exchange.lookups {
		w.push(now+w.roundTrip/2, slot, ask)
	} else {
		w.push(now+w.latency, slot, send)
	}
}

func (w *network) handle(e event) {
	f := &w.fetches[e.fetch]
	switch e.kind {
	case ask:
		w.driver = max(w.driver, e.at) + w.service
		known := w.driver + w.roundTrip/2
		w.passed.lookups[f.executor] += known - f.began
		w.push(known+w.latency, e.fetch, send)
	case send:
		leaves := max(e.at, w.out[f.owner])
		w.out[f.owner] = leaves + over(w.piece, w.link)
		w.push(leaves, e.fetch, arrive)
	case arrive:
		// Its first bit goes through without waiting for the last, so an idle way takes the piece's time once and not three times.
		through := max(w.backbone, e.at)
		w.backbone = through + over(w.piece, w.core)
		w.in[f.executor] = max(w.in[f.executor], through) + over(w.piece, w.link)
		w.push(max(e.at+over(w.piece, w.link), w.backbone, w.in[f.executor]), e.fetch, done)
	case done:
		w.bytes += w.piece
		if f.left--; f.left > 0 {
			w.push(e.at, e.fetch, send)
			return
		}
		w.passed.fetches[f.executor] += e.at - f.began
		w.end[f.executor] = max(w.end[f.executor], e.at)
		w.begin(e.at, e.fetch)
	}
}

// over is the seconds that bytes take at a rate; a rate of 0 is no limit.
func over(bytes, rate float64) float64 {
	if rate == 0 {
		return 0
	}
	return bytes / rate
}
