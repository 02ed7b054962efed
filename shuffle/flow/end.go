package flow

// Cancel gives back what waits of a stream, in order, behind what back has. What is in flight of it ends by End.
func (f *Flow[T]) Cancel(stream uint64, back []T) []T {
	i, ok := f.byID[stream]
	if !ok {
		return back
	}
	return f.empty(i, back)
}

// empty takes the pieces of a stream.
func (f *Flow[T]) empty(i int32, back []T) []T {
	for {
		last := f.streams.all[i].head == f.streams.all[i].tail
		back = append(back, f.pop(i))
		if last {
			return back
		}
	}
}

// Drain ends adding. What waits begins still.
func (f *Flow[T]) Drain() { f.closed = true }

// Drained tells, after Drain or Lose, whether all has ended.
func (f *Flow[T]) Drained() bool { return f.closed && f.waiting == 0 && f.Flying() == 0 }

// Lose ends the flow because of cause, unless it has ended: nothing is added or begins any more. It gives back what waits, behind what back has; what is in flight
// ends by End.
func (f *Flow[T]) Lose(cause error, back []T) []T {
	if f.cause == nil {
		f.cause, f.closed = cause, true
	}
	for f.turn != none {
		back = f.empty(f.turn, back)
	}
	return back
}

// Cause is that of Lose; nil before.
func (f *Flow[T]) Cause() error { return f.cause }
