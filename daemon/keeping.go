package daemon

import (
	"encoding/hex"
	"path/filepath"

	"weft/shuffle"
	"weft/shuffle/lifeline"
)

// keptPrefix begins the names of directories for links to map outputs; the daemon's id follows.
const keptPrefix = "weft-kept-"

// keeping is how map outputs outlive their executors. What former daemons of this socket directory could not remove is removed first: only
// they could have served it.
func (d *daemon) keeping(dir *socketDir) (*shuffle.Keeping, error) {
	list, err := openKeptList(filepath.Join(dir.path, keptFile))
	if err != nil {
		return nil, err
	}
	removed, failed := list.sweep()
	if removed > 0 {
		d.log.Info("what a daemon before left of map outputs was removed", "directories", removed)
	}
	if failed != nil {
		d.log.Warn("what a daemon before left of map outputs cannot be removed; it is tried again at the next start", "error", failed)
	}
	return &shuffle.Keeping{
		Name:   keptPrefix + hex.EncodeToString(d.info.DaemonID[:]),
		Record: list.add,
		Watch:  lifeline.Watch,

		MaxBytes: d.opts.OutliveMax,
		Departed: func(n int) {
			d.metrics.DepartedExecutors.Set(float64(n))
			d.idle.departed(n)
		},
	}, nil
}
