package shuffle

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// TakeOver serves on what a daemon before this one left of an executor, which counts as departed until it joins again. Nobody may have
// joined before. Of two records of one executor the newer counts. release is called when nothing is served any more, or after an error. TookOver is called after the last.
func (r *Registry) TakeOver(left Left, record Record, release func()) error {
	k, err := r.keeper.take(left, record)
	if err != nil {
		release()
		return err
	}
	if k.misses != nil {
		r.log.Warn("some directories for links to map outputs cannot be opened; what is in them is not served, and stays for the next daemon",
			"app", left.App.ID, "executor", left.Executor, "error", k.misses)
	}
	if r.hasNewer(left) { // a daemon before was killed between the end of one membership and the next
		k.close()
		release()
		return nil
	}
	held := int64(descriptorsKept * len(left.Dirs))
	if !r.takeDescriptors(left.App.ID, held) {
		k.close()
		release()
		return errShareOfDirectories
	}
	e := &Executor{
		registry: r, app: left.App.ID, token: left.App.Token, encrypted: left.App.Encrypted, name: left.Executor,
		dirs: &localDirs{app: left.App.ID, uid: left.UID}, kept: k,
		shuffles: make(map[uint32]map[uint64]*mapOutput), release: release, taken: true, held: held,
	}
	if err := e.find(maxMapOutputs); err != nil {
		r.log.Warn("some map outputs that a daemon before left are not found", "app", e.app, "executor", e.name, "error", err)
	}
	former, err := r.admit(e, left.App)
	if err != nil {
		e.end()
		return err
	}
	if former != nil {
		former.end()
	}
	r.watch(e.app, left.Driver)
	if !e.hasKept() || !r.depart(e) {
		e.Leave()
	}
	return nil
}

// Discard removes what a daemon before this one left of an executor. What cannot be opened stays for a later daemon.
func (r *Registry) Discard(left Left, record Record) {
	if k, err := r.keeper.take(left, record); err == nil {
		k.close()
	}
}

// hasNewer tells whether a membership of the executor that was recorded after left was taken over already.
func (r *Registry) hasNewer(left Left) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	app := r.apps[left.App.ID]
	if app == nil {
		return false
	}
	e := app.executors[left.Executor]
	return e != nil && e.kept.left.Since > left.Since
}

// TookOver ends the taking over: the bound holds from now on, and who ended first is given up first. Who lived when its daemon ended counts only
// when the next executor ends, as it comes back before, if it lives still.
func (r *Registry) TookOver() {
	r.mu.Lock()
	slices.SortStableFunc(r.departed, func(a, b *Executor) int { return cmp.Compare(a.kept.left.order(), b.kept.left.order()) })
	r.mu.Unlock()
	r.shrink(func() []*Executor {
		return slices.DeleteFunc(r.allDeparted(), func(e *Executor) bool { return e.kept.left.Ended == 0 })
	})
}

// order is smaller of who ended before. Who lived comes last.
func (l *Left) order() int64 {
	if l.Ended == 0 {
		return math.MaxInt64
	}
	return l.Ended
}

// TakenOver are the application's executors of which a daemon before this one left map outputs that are served here.
func (r *Registry) TakenOver(app string) (executors []string) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if known := r.apps[app]; known != nil {
		for _, e := range known.gone() {
			if e.taken {
				executors = append(executors, e.name)
			}
		}
	}
	slices.Sort(executors)
	return executors
}

// take opens the directories that a daemon before this one made. Where one is not the user's, or none is there any more, the others are removed
// and the record forgotten. One that cannot be opened for another reason, which may pass, stays with the record.
func (r *keeper) take(left Left, record Record) (*kept, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	k := &kept{keeper: r, dirs: &localDirs{app: left.App.ID, uid: left.UID}, left: left, record: record}
	var missed []error
	gone := 0
	for _, path := range left.Dirs {
		d, err := found(path, left.UID)
		if err == nil {
			k.add(d)
			continue
		}
		err = fmt.Errorf("directory for links %s: %w", path, err)
		if errors.Is(err, errNotOfUser) {
			k.closeLocked()
			return nil, err
		}
		if errors.Is(err, fs.ErrNotExist) {
			gone++
		}
		missed = append(missed, err)
	}
	switch {
	case gone == len(left.Dirs):
		k.closeLocked()
		return nil, missed[0]
	case len(missed) == len(left.Dirs):
		return nil, fmt.Errorf("what is there stays for the next daemon: %s", errors.Join(missed...).Error()) // not that it is gone
	}
	k.misses = errors.Join(missed...)
	return k, nil
}

// found opens a directory for links that is there. From the directory that both lie in on, it follows no symbolic link.
func found(path string, uid uint32) (*keptDir, error) {
	parent, err := os.OpenRoot(filepath.Dir(filepath.Dir(path)))
	if err != nil {
		return nil, err
	}
	d := &keptDir{parent: parent, path: path}
	if err := d.open(func(in *os.Root, name string) (*os.Root, error) { return takeDir(in, name, uid, false) }); err != nil {
		d.close()
		return nil, err
	}
	return d, nil
}

// find registers the map outputs that there are links of: those whose index was linked, which comes last. It looks at the names that so many
// map outputs have, and no further than the application's share goes. The error is the first, and how many there were.
func (e *Executor) find(most int) error {
	data := map[mapID]place{}
	index := map[mapID]place{}
	var first error
	failed := 0
	fail := func(err error) {
		if failed++; first == nil {
			first = err
		}
	}
	seen := 0
	for i := range e.kept.dirs.dirs {
		err := names(e.kept.dirs.dirs[i].dir, func(name string) error {
			if seen++; seen > 2*most {
				return fmt.Errorf("%s: more links than %d map outputs have", e.kept.dirs.dirs[i].path, most)
			}
			if id, ok := parseLink(name, dataLink); ok {
				data[id] = place{i, name}
			} else if id, ok := parseLink(name, indexLink); ok {
				index[id] = place{i, name}
			}
			return nil
		})
		if err != nil {
			fail(err)
		}
	}
	for id, at := range index {
		if e.count == most {
			fail(fmt.Errorf("more than %d map outputs", most))
			break
		}
		m, err := e.findOne(id, data[id], at)
		if err != nil {
			fail(err)
			if errors.Is(err, errShareOfMapOutputs) {
				break
			}
			continue
		}
		if e.shuffles[id.shuffle] == nil {
			e.shuffles[id.shuffle] = make(map[uint64]*mapOutput)
		}
		e.shuffles[id.shuffle][id.mapID] = m
		e.count++
		e.bytes += m.size
		e.registry.metrics.MapOutputs.Inc()
	}
	if first != nil {
		return fmt.Errorf("%d failures, the first: %w", failed, first)
	}
	return nil
}

// findOne looks at the files of one map output, as when it was registered. data has no name where there is none, as every partition is empty.
func (e *Executor) findOne(id mapID, data, index place) (_ *mapOutput, err error) {
	linked := data.rel != ""
	if !linked {
		data = place{index.dir, id.link(dataLink)}
	}
	cost, ok := e.takeMapOutput(data, index)
	if !ok {
		return nil, errShareOfMapOutputs
	}
	defer func() {
		if err != nil {
			e.registry.quotas.MapOutputs.Give(e.app, int64(cost))
		}
	}()
	var size int64
	if linked {
		file, stat, err := e.kept.dirs.openFD(data)
		if err != nil {
			return nil, err
		}
		_ = file.Close()
		size = stat.Size
	}
	file, stat, err := e.kept.dirs.openFD(index)
	if err != nil {
		return nil, err
	}
	_ = file.Close()
	partitions := stat.Size/offsetSize - 1
	if partitions < 1 || partitions > MaxPartitions {
		return nil, fmt.Errorf("%s: an index file of %d bytes", e.kept.dirs.path(index), stat.Size)
	}
	m := newMapOutput(data, index, uint32(partitions), size)
	m.kept, m.cost = true, cost
	return m, nil
}

// mapID names a map output, and its links.
type mapID struct {
	shuffle uint32
	mapID   uint64
}

// What the names of links end with.
const (
	dataLink  = ".data"
	indexLink = ".index"
)

func (id mapID) link(suffix string) string {
	return fmt.Sprintf("%d_%d%s", id.shuffle, id.mapID, suffix)
}

func parseLink(name, suffix string) (id mapID, ok bool) {
	stem, ok := strings.CutSuffix(name, suffix)
	first, second, both := strings.Cut(stem, "_")
	shuffle, err := strconv.ParseUint(first, 10, 31)
	if !ok || !both || err != nil {
		return mapID{}, false
	}
	of, err := strconv.ParseUint(second, 10, 63)
	id = mapID{uint32(shuffle), of}
	return id, err == nil && id.link(suffix) == name
}

// names calls f with the name of everything in a directory that is open as a path alone, until f gives an error.
func names(dir *os.File, f func(name string) error) error {
	readable, err := reopen(dir)
	if err != nil {
		return err
	}
	defer readable.Close()
	for {
		batch, err := readable.Readdirnames(1000)
		for _, name := range batch {
			if err := f(name); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// reopen opens a directory for reading that is open.
func reopen(dir *os.File) (*os.File, error) {
	fd := -1
	err := withFDs(dir, dir, func(of, _ int) (err error) {
		fd, err = unix.Openat(of, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), dir.Name()), nil
}
