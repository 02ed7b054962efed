package shuffle

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// watch watches the application's driver for as long as it has executors here, departed ones too.
func (r *Registry) watch(app, driver string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known := r.apps[app]
	if known == nil || known.unwatch != nil {
		return
	}
	known.unwatch = r.keeper.opts.Watch(driver, func(err error) { r.driverGone(app, known, err) })
}

// depart keeps e among its application's executors after its end; false where its driver is gone, or another has its place.
func (r *Registry) depart(e *Executor) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	app := r.apps[e.app]
	if app == nil || app.executors[e.name] != e || app.unwatch == nil {
		return false
	}
	e.departed.Store(true)
	r.departed = append(r.departed, e)
	r.keeper.opts.Departed(len(r.departed))
	return true
}

// ended is for an executor that has departed: it ended by itself, or this daemon ends.
func (r *Registry) ended(e *Executor) {
	if r.ending.Load() {
		return
	}
	r.log.Info("an executor has ended; its map outputs are served on", "app", e.app, "executor", e.name)
	if err := e.kept.ended(time.Now().UnixNano()); err != nil {
		r.log.Warn("that an executor has ended is not recorded; the next daemon takes it for one that lived", "app", e.app, "executor", e.name, "error", err)
	}
	r.shrink(r.allDeparted)
}

// Ending says that executors depart from now on because this daemon ends. They live, so nothing has to make room for what they have.
func (r *Registry) Ending() { r.ending.Store(true) }

// returned forgets a departed executor whose membership has ended.
func (r *Registry) returned(e *Executor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(r.departed, e); i >= 0 {
		r.departed = slices.Delete(r.departed, i, i+1)
	}
	r.keeper.opts.Departed(len(r.departed))
}

func (r *Registry) allDeparted() []*Executor {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return slices.Clone(r.departed)
}

// shrink gives up some of the departed executors that of gives, the first of them first, until the others hold no more than the bound.
func (r *Registry) shrink(of func() []*Executor) {
	for most := r.keeper.opts.MaxBytes; most > 0; {
		var bytes int64
		departed := of()
		for _, e := range departed {
			bytes += e.status().MapOutputBytes
		}
		if bytes <= most {
			return
		}
		e := departed[0]
		if !r.pick(e) {
			continue // another goroutine gives it up
		}
		r.log.Warn("the map outputs of an executor that has ended are given up, as those of all are too large; their tasks run again if they are asked for",
			"app", e.app, "executor", e.name, "bytes", bytes, "max", most)
		e.Leave()
	}
}

// takeDescriptors takes n descriptors for the application. Where it has too many, its executors that have ended are given up, who ended first.
func (r *Registry) takeDescriptors(app string, n int64) bool {
	for !r.quotas.Descriptors.Try(app, n) {
		e := r.oldest(app)
		if e == nil {
			r.quotas.Descriptors.Refused()
			return false
		}
		if !r.pick(e) {
			continue // another goroutine gives it up
		}
		r.log.Warn("the map outputs of an executor that has ended are given up, as its application has too many directories open; "+
			"their tasks run again if they are asked for", "app", app, "executor", e.name)
		e.Leave()
	}
	return true
}

// oldest is the application's executor that ended first, of those that are here; nil: none is.
func (r *Registry) oldest(app string) *Executor {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, e := range r.departed {
		if e.app == app {
			return e
		}
	}
	return nil
}

// pick takes e from the departed executors; false where it is none any more.
func (r *Registry) pick(e *Executor) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := slices.Index(r.departed, e)
	if i < 0 {
		return false
	}
	r.departed = slices.Delete(r.departed, i, i+1)
	return true
}

// driverGone ends what was kept for an application. Those of its executors that live end theirs themselves.
func (r *Registry) driverGone(id string, app *application, cause error) {
	r.mu.Lock()
	app.unwatch = nil
	departed := app.gone()
	r.mu.Unlock()
	level := slog.LevelWarn // it may live, and its host or the network be in trouble
	if errors.Is(cause, unix.ECONNREFUSED) {
		level = slog.LevelInfo // as every driver ends
	}
	r.log.Log(context.Background(), level, "an application's driver is gone; nothing is kept for it any more", "app", id, "executors", len(departed), "why", cause)
	for _, e := range departed {
		e.Leave()
	}
}

// unregisterDeparted forgets a shuffle of the application's departed executors. Those with nothing left leave.
func (r *Registry) unregisterDeparted(id string, shuffle uint32) {
	r.mu.RLock()
	var departed []*Executor
	if app := r.apps[id]; app != nil {
		departed = app.gone()
	}
	r.mu.RUnlock()
	for _, e := range departed {
		if e.unregister(shuffle) == 0 {
			e.Leave()
		}
	}
}

// Close ends the membership of every departed executor, and waits for those that end already as their driver is gone. Links to map outputs stay,
// with what was recorded of them, for a later daemon.
func (r *Registry) Close() {
	if r.keeper != nil {
		r.keeper.mu.Lock()
		r.keeper.leaves = true
		r.keeper.mu.Unlock()
	}
	for _, e := range r.allDeparted() {
		e.Leave()
	}
}

// gone are the application's departed executors; the registry's mu is held.
func (a *application) gone() (departed []*Executor) {
	for _, e := range a.executors {
		if e.departed.Load() {
			departed = append(departed, e)
		}
	}
	return departed
}
