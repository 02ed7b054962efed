package shuffle

import (
	"cmp"
	"slices"
)

// ExecutorStatus is what `weft status` shows of one executor.
type ExecutorStatus struct {
	App            string
	Executor       string
	UID            uint32
	Departed       bool // it has ended, and its map outputs are served on
	Dirs           []string
	Shuffles       int
	MapOutputs     int
	MapOutputBytes int64 // of the data files, as large as they were when registered
}

// Status is a snapshot of the executors, ordered by application and executor.
func (r *Registry) Status() []ExecutorStatus {
	r.mu.RLock()
	var executors []*Executor
	for _, app := range r.apps {
		for _, e := range app.executors {
			executors = append(executors, e)
		}
	}
	r.mu.RUnlock()

	all := make([]ExecutorStatus, 0, len(executors))
	for _, e := range executors {
		all = append(all, e.status())
	}
	slices.SortFunc(all, func(a, b ExecutorStatus) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Executor, b.Executor))
	})
	return all
}

func (e *Executor) status() ExecutorStatus {
	dirs := make([]string, len(e.dirs.dirs))
	for i, d := range e.dirs.dirs {
		dirs[i] = d.path
	}
	e.mu.RLock()
	defer e.mu.RUnlock()
	return ExecutorStatus{
		App: e.app, Executor: e.name, UID: e.dirs.uid, Departed: e.departed.Load(), Dirs: dirs,
		Shuffles: len(e.shuffles), MapOutputs: e.count, MapOutputBytes: e.bytes,
	}
}
