package mempool

import (
	"slices"

	"weft/internal/invariants"
)

const (
	smallAlign = 64   // a cache line
	largeAlign = 4096 // a page, for what is worth one
	large      = 64 << 10
)

// grain returns the alignment of a lease of n bytes; its extent's length is a multiple of it too.
func grain(n int64) int64 {
	if n >= large {
		return largeAlign
	}
	return smallAlign
}

func roundUp(n, to int64) int64 { return (n + to - 1) &^ (to - 1) }

type extent struct{ off, len int64 }

// extents is the free part of one region: sorted by offset, neighbours merged.
type extents struct {
	free    []extent
	largest int64 // no free extent is longer
}

func newExtents(size int64) extents {
	return extents{free: []extent{{0, size}}, largest: size}
}

// take cuts n bytes (already rounded to align) out of the first extent that has them.
func (e *extents) take(n, align int64) (off int64, ok bool) {
	if n > e.largest {
		return 0, false
	}
	longest := int64(0)
	for i, x := range e.free {
		longest = max(longest, x.len)
		start := roundUp(x.off, align)
		if start+n > x.off+x.len {
			continue
		}
		front := extent{x.off, start - x.off}
		back := extent{start + n, x.off + x.len - start - n}
		switch {
		case front.len > 0 && back.len > 0:
			e.free[i] = front
			e.free = slices.Insert(e.free, i+1, back)
		case front.len > 0:
			e.free[i] = front
		case back.len > 0:
			e.free[i] = back
		default:
			e.free = slices.Delete(e.free, i, i+1)
		}
		return start, true
	}
	e.largest = longest // exact: every extent was looked at
	return 0, false
}

// put gives an extent back and merges it with its neighbours.
func (e *extents) put(x extent) {
	i, found := slices.BinarySearchFunc(e.free, x.off, func(f extent, off int64) int {
		switch {
		case f.off < off:
			return -1
		case f.off > off:
			return 1
		default:
			return 0
		}
	})
	invariants.Check(!found, "extent at %d is free already", x.off)
	invariants.Check(i == len(e.free) || x.off+x.len <= e.free[i].off, "extent %v overlaps free %v", x, e.free[i:])
	if i < len(e.free) && x.off+x.len == e.free[i].off {
		x.len += e.free[i].len
		e.free = slices.Delete(e.free, i, i+1)
	}
	if i > 0 {
		before := &e.free[i-1]
		invariants.Check(before.off+before.len <= x.off, "extent %v overlaps free %v", x, *before)
		if before.off+before.len == x.off {
			before.len += x.len
			e.largest = max(e.largest, before.len)
			return
		}
	}
	e.free = slices.Insert(e.free, i, x)
	e.largest = max(e.largest, x.len)
}
