package mempool

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"weft/internal/invariants"
)

var openRegions = invariants.NewCounter("mempool regions")

// region is one piece of memory that its arena cuts leases from.
type region struct {
	arena  *Arena
	number uint32
	mem    []byte
	free   extents
	leases int       // out; under the arena's mu
	since  time.Time // it is empty; the same
	close  func() error
	regs   []Registration
}

// grow makes regions until the first waiter is served or nothing more can be had. One goroutine does it at a time, with no
// lock held while memory is made, so the others' Allocs and Releases go on.
func (a *Arena) grow() {
	a.mu.Lock()
	if a.growing {
		a.again = true
		a.mu.Unlock()
		return
	}
	a.growing = true
	for {
		a.again = false
		a.serve()
		if len(a.waiters) == 0 || (!a.growOnce() && !a.again) {
			break
		}
	}
	a.growing = false
	if a.closed && a.live == 0 {
		a.finish()
	}
	a.mu.Unlock()
}

// growOnce adds a region for the first waiter; false when there is no room. mu is held, but not in between.
func (a *Arena) growOnce() bool {
	w := a.waiters[0]
	need := roundUp(w.n, largeAlign)
	empty := a.makeWay(need)
	room := a.opts.Max - a.total
	a.short.Store(false)
	if room < need {
		return false
	}
	want := a.opts.RegionSize
	if need > want {
		want = roundUp(need, hugePage)
	}
	want = min(want, MaxRegion, room)
	number := a.next
	a.next++
	a.mu.Unlock()

	a.drop(empty)
	size := a.opts.Budget.reserve(a, need, want)
	a.short.Store(size == 0)
	var r *region
	var err error
	if size > 0 {
		if r, err = a.newRegion(number, size); err != nil {
			a.opts.Budget.giveBack(a.opts.Holder, size)
		}
	}

	a.mu.Lock()
	if err != nil {
		a.fail(w, err)
		return true
	}
	if r == nil {
		return false
	}
	a.regions = append(a.regions, r)
	a.total += size
	a.live++
	a.usage.addAllocated(size)
	if a.closed { // meanwhile
		gone := a.detachEmpty(size, 0)
		a.mu.Unlock()
		a.drop(gone)
		a.mu.Lock()
		return false
	}
	return true
}

// fail ends w with err if it still waits. mu is held.
func (a *Arena) fail(w *waiter, err error) {
	if i := slices.Index(a.waiters, w); i >= 0 {
		a.waiters = slices.Delete(a.waiters, i, i+1)
		w.err = err
		close(w.ready)
	}
}

func (a *Arena) newRegion(number uint32, size int64) (*region, error) {
	mem, closeMem, err := a.opts.Backing.NewRegion(number, size)
	if err != nil {
		return nil, fmt.Errorf("new region of %d bytes for %q: %w", size, a.opts.Purpose, err)
	}
	r := &region{arena: a, number: number, mem: mem, free: newExtents(size), since: time.Now(), close: closeMem}
	openRegions.Add(1)
	for _, registrar := range a.opts.Registrars {
		reg, err := registrar.Register(mem)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("register a region of %d bytes: %w", size, err), r.undo())
		}
		r.regs = append(r.regs, reg)
	}
	return r, nil
}

// undo gives registrations and memory back.
func (r *region) undo() error {
	var errs []error
	for i := len(r.regs) - 1; i >= 0; i-- {
		errs = append(errs, r.regs[i].Close())
	}
	errs = append(errs, r.close())
	openRegions.Add(-1)
	return errors.Join(errs...)
}

// makeWay detaches own empty regions when the arena's limit leaves no room for need bytes and that would help. mu is held.
func (a *Arena) makeWay(need int64) []*region {
	missing := need - (a.opts.Max - a.total)
	if missing <= 0 {
		return nil
	}
	var empty int64
	for _, r := range a.regions {
		if r.leases == 0 {
			empty += int64(len(r.mem))
		}
	}
	if empty < missing {
		return nil
	}
	return a.detachEmpty(missing, 0)
}

// detachEmpty takes regions of at least n bytes, as far as there are, that have been empty for so long out of the arena, the newest first.
// mu is held; the caller discards them without it.
func (a *Arena) detachEmpty(n int64, idle time.Duration) []*region {
	var empty []*region
	for i := len(a.regions) - 1; i >= 0 && n > 0; i-- {
		if r := a.regions[i]; r.leases == 0 && time.Since(r.since) >= idle {
			empty = append(empty, r)
			a.regions = slices.Delete(a.regions, i, i+1)
			n -= int64(len(r.mem))
			a.total -= int64(len(r.mem))
			a.usage.addAllocated(-int64(len(r.mem)))
		}
	}
	return empty
}

// discard gives detached regions back to the system and to the budget.
func (a *Arena) discard(regions []*region) error {
	var errs []error
	for _, r := range regions {
		errs = append(errs, r.undo())
		a.opts.Budget.giveBack(a.opts.Holder, int64(len(r.mem)))
	}
	a.mu.Lock()
	a.live -= len(regions)
	if a.closed && a.live == 0 && !a.growing {
		a.finish()
	}
	a.mu.Unlock()
	return errors.Join(errs...)
}

// drop is discard where nobody can be told of an error.
func (a *Arena) drop(regions []*region) {
	if len(regions) == 0 {
		return
	}
	if err := a.discard(regions); err != nil {
		slog.Error("memory of a region was not given back; restart the daemon if this repeats", "purpose", a.opts.Purpose, "error", err)
	}
}

// hasEmpty tells whether there are regions without leases.
func (a *Arena) hasEmpty() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.ContainsFunc(a.regions, func(r *region) bool { return r.leases == 0 })
}

// dropEmpty gives up regions of at least n bytes, as far as there are, that have been empty for so long, for another arena, and tells whether
// any went.
func (a *Arena) dropEmpty(n int64, idle time.Duration) bool {
	a.mu.Lock()
	empty := a.detachEmpty(n, idle)
	a.mu.Unlock()
	a.drop(empty)
	return len(empty) > 0
}
