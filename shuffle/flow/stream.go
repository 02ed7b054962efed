package flow

const none = -1

// stream is pieces that begin in order, of which at least one waits.
type stream struct {
	id         uint64 // 0: that of one piece
	head, tail int32  // pieces
	left       int64  // bytes of its turn, or of the next
	prev, next int32  // in the order of turns
}

// join is the stream of that name. A new one has its turn after all others.
func (f *Flow[T]) join(id uint64) int32 {
	if id != 0 {
		if i, ok := f.byID[id]; ok {
			return i
		}
	}
	i := f.streams.take(stream{id: id, head: none, tail: none, left: f.limits.Quantum})
	if id != 0 {
		f.byID[id] = i
	}
	f.append(i)
	return i
}

// leave forgets a stream without pieces.
func (f *Flow[T]) leave(i int32) {
	f.unlink(i)
	if s := f.streams.give(i); s.id != 0 {
		delete(f.byID, s.id)
	}
}

// rotate ends the turn of a stream.
func (f *Flow[T]) rotate() {
	i := f.turn
	f.unlink(i)
	f.append(i)
}

func (f *Flow[T]) append(i int32) {
	s := &f.streams.all[i]
	s.prev, s.next = f.last, none
	if f.last == none {
		f.turn = i
	} else {
		f.streams.all[f.last].next = i
	}
	f.last = i
}

func (f *Flow[T]) unlink(i int32) {
	s := &f.streams.all[i]
	if s.prev == none {
		f.turn = s.next
	} else {
		f.streams.all[s.prev].next = s.next
	}
	if s.next == none {
		f.last = s.prev
	} else {
		f.streams.all[s.next].prev = s.prev
	}
}

// slab is memory for many of a kind, by number, that is used again.
type slab[E any] struct {
	all  []E
	free []int32
}

func (s *slab[E]) take(e E) int32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		s.all[i] = e
		return i
	}
	s.all = append(s.all, e)
	return int32(len(s.all) - 1) //nolint:gosec // memory ends before
}

func (s *slab[E]) give(i int32) (e E) {
	s.all[i], e = e, s.all[i]
	s.free = append(s.free, i)
	return e
}
