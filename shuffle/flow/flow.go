package flow

// Limits are those of one connection.
type Limits struct {
	Credits int   // pieces in flight: slots of the send queue
	Window  int64 // bytes in flight; a piece larger than it begins when nothing is in flight
	Quantum int64 // bytes of a stream's turn; a larger piece takes several turns
}

// least is what a piece counts in its stream's turn: below it the device's work is the request, not the bytes.
const least = 4 << 10

// Flow says which pieces begin, of those that wait. What a piece is, its user knows alone. For one goroutine at a time. Where as much waited before, nothing is
// allocated.
type Flow[T any] struct {
	limits  Limits
	pieces  slab[piece[T]] // that wait
	streams slab[stream]   // of which pieces wait
	byID    map[uint64]int32
	turn    int32 // the stream whose turn it is; first of a list, in which the others follow in the order of their turns
	last    int32
	waiting int
	backlog int64 // bytes that wait

	flying []flight[T] // by slot
	free   []int
	bytes  int64 // in flight

	closed bool
	cause  error
}

type piece[T any] struct {
	item T
	n    int64
	next int32 // of the same stream
}

type flight[T any] struct {
	item T
	n    int64
	busy bool
}

// New has nothing waiting and nothing in flight.
func New[T any](l Limits) *Flow[T] {
	f := &Flow[T]{limits: l, byID: map[uint64]int32{}, turn: none, last: none, flying: make([]flight[T], l.Credits), free: make([]int, l.Credits)}
	for i := range f.free {
		f.free[i] = l.Credits - 1 - i
	}
	return f
}

// Add has a piece of n bytes wait as the last of its stream; with stream 0, in a stream of its own. It returns false, and nothing changed, after Drain and Lose.
func (f *Flow[T]) Add(stream uint64, n int64, item T) bool {
	if f.closed {
		return false
	}
	s := &f.streams.all[f.join(stream)]
	p := f.pieces.take(piece[T]{item: item, n: n, next: none})
	if s.tail == none {
		s.head = p
	} else {
		f.pieces.all[s.tail].next = p
	}
	s.tail = p
	f.waiting++
	f.backlog += n
	return true
}

// Next begins a piece, if one may. Its slot is that of no other piece in flight.
func (f *Flow[T]) Next() (slot int, item T, ok bool) {
	if f.waiting == 0 || len(f.free) == 0 {
		return 0, item, false
	}
	s := f.ready()
	n := f.pieces.all[f.streams.all[s].head].n
	if f.bytes+n > f.limits.Window && f.Flying() > 0 {
		return 0, item, false
	}
	f.streams.all[s].left -= max(n, least)
	item = f.pop(s)
	slot, f.free = f.free[len(f.free)-1], f.free[:len(f.free)-1]
	f.flying[slot] = flight[T]{item, n, true}
	f.bytes += n
	return slot, item, true
}

// ready is the stream that may begin its next piece. Turns end where the next piece is more than what is left of them.
func (f *Flow[T]) ready() int32 {
	for {
		s := &f.streams.all[f.turn]
		if max(f.pieces.all[s.head].n, least) <= s.left {
			return f.turn
		}
		s.left += f.limits.Quantum
		f.rotate()
	}
}

// pop takes the first piece of a stream, and with the last of them the stream.
func (f *Flow[T]) pop(i int32) T {
	s := &f.streams.all[i]
	p := f.pieces.give(s.head)
	f.waiting--
	f.backlog -= p.n
	if s.head = p.next; s.head == none {
		f.leave(i)
	}
	return p.item
}

// End takes the piece out of a slot: it completed, or never began. False: the slot is free.
func (f *Flow[T]) End(slot int) (item T, ok bool) {
	if !f.InFlight(slot) {
		return item, false
	}
	x := f.flying[slot]
	f.flying[slot] = flight[T]{}
	f.free = append(f.free, slot)
	f.bytes -= x.n
	return x.item, true
}

// InFlight tells whether there is a piece in a slot.
func (f *Flow[T]) InFlight(slot int) bool { return f.flying[slot].busy }

// Flying is how many pieces are in flight.
func (f *Flow[T]) Flying() int { return len(f.flying) - len(f.free) }

// Due tells whether much can begin at once: half of the credits and of the window are free, or else all that waits has room. A user whose calls are dear begins
// nothing before, unless something was added.
func (f *Flow[T]) Due() bool {
	if 2*len(f.free) >= len(f.flying) && 2*f.bytes <= f.limits.Window {
		return true
	}
	return f.waiting <= len(f.free) && f.bytes+f.backlog <= f.limits.Window
}
