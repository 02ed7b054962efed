package daemon

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"weft/shuffle"
	"weft/shuffle/lifeline"
)

// keptPrefix begins the names of directories for links to map outputs; the daemon's id follows.
const keptPrefix = "weft-kept-"

// keeping is how map outputs outlive their executors, and daemons.
func (d *daemon) keeping(s *store) *shuffle.Keeping {
	return &shuffle.Keeping{
		Name:   keptPrefix + hex.EncodeToString(d.info.DaemonID[:]),
		Record: s.add,
		Watch:  lifeline.Watch,

		MaxBytes: d.opts.OutliveMax,
		Departed: func(n int) {
			d.metrics.DepartedExecutors.Set(float64(n))
			d.idle.departed(n)
		},
	}
}

// openKept opens the store of what was left.
func openKept(dir *socketDir) (*store, error) {
	s, err := openStore(filepath.Join(dir.path, keptStore))
	if err != nil {
		return nil, fmt.Errorf("what is known of map outputs that were left: %w", err)
	}
	return s, nil
}

// takeOver serves on what daemons of this socket directory before this one left, and notes their ids. That of applications that have ended is
// removed, as soon as it shows.
func (d *daemon) takeOver(s *store) {
	taken := 0
	err := s.each(func(left shuffle.Left, record shuffle.Record, old bool) {
		if old {
			d.registry.Discard(left, record)
			d.log.Info("map outputs from before the host was started are removed, as they may not be whole", "app", left.App.ID, "executor", left.Executor)
			return
		}
		release := d.useDevice(left.App)
		err := d.registry.TakeOver(left, record, release)
		switch {
		case err == nil:
			taken++
			d.former = append(d.former, idsIn(left.Dirs)...)
		case errors.Is(err, fs.ErrNotExist):
			d.log.Info("map outputs that a daemon before left are gone", "app", left.App.ID, "executor", left.Executor, "error", err)
		default:
			d.log.Warn("map outputs that a daemon before left cannot be served; their tasks run again if they are asked for",
				"app", left.App.ID, "executor", left.Executor, "error", err)
		}
	})
	d.registry.TookOver()
	if err != nil {
		d.log.Warn("some of what a daemon before left of map outputs is not known; remove these files", "error", err)
	}
	if taken > 0 {
		d.log.Info("map outputs that a daemon before left are served on", "executors", taken)
	}
	slices.SortFunc(d.former, func(a, b [16]byte) int { return slices.Compare(a[:], b[:]) })
	d.former = slices.Compact(d.former)
}

// idsIn are the ids of the daemons that made these directories for links.
func idsIn(dirs []string) (ids [][16]byte) {
	for _, dir := range dirs {
		id, err := hex.DecodeString(filepath.Base(filepath.Dir(dir))[len(keptPrefix):])
		if err == nil {
			ids = append(ids, [16]byte(id))
		}
	}
	return ids
}

// useDevice begins the use of the device for what an executor left. It does not encrypt.
func (d *daemon) useDevice(app shuffle.App) (release func()) {
	join := d.join()
	if join == nil || app.Encrypted {
		return func() {}
	}
	membership, err := join(app)
	if err != nil {
		d.log.Warn("map outputs that a daemon before left move over TCP", "app", app.ID, "error", err)
		return func() {}
	}
	return membership.Leave
}
