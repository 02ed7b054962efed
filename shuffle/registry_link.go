package shuffle

import (
	"errors"
	"io/fs"
	"os"
)

// newMapOutput looks whether there is a data file, which there need not be where every partition is empty: the index will tell. What is to
// outlive the executor is linked first. Where that fails it is served as long as the executor lives.
func (e *Executor) newMapOutput(o MapOutput, data, index place) (*mapOutput, error) {
	file, stat, err := e.dirs.open(data)
	if errors.Is(err, fs.ErrNotExist) {
		file, err = nil, nil
	}
	if err != nil {
		return nil, err
	}
	if file != nil {
		defer file.Close()
	}
	m := newMapOutput(data, index, o.Partitions, stat.Size)
	e.mu.RLock()
	k := e.kept
	e.mu.RUnlock()
	if k == nil {
		return m, nil
	}
	dataAt, indexAt, err := e.link(k, o, file, data, index)
	if err != nil {
		if !e.refused.Swap(true) {
			e.registry.log.Warn("map outputs of an executor will end with it, as no link to their files can be made", "app", e.app, "executor", e.name, "error", err)
		}
		return m, nil
	}
	m = newMapOutput(dataAt, indexAt, o.Partitions, stat.Size)
	m.kept = true
	return m, nil
}

// link makes the links of one map output; file is its data file, if there is one.
func (e *Executor) link(k *kept, o MapOutput, file *os.File, data, index place) (dataAt, indexAt place, err error) {
	indexFile, _, err := e.dirs.open(index)
	if err != nil {
		return place{}, place{}, err
	}
	defer indexFile.Close()
	id := mapID{o.Shuffle, o.Map}
	dataAt, indexAt = place{data.dir, id.link(dataLink)}, place{index.dir, id.link(indexLink)}
	if file != nil {
		if err := k.link(data.dir, file, dataAt.rel); err != nil {
			return place{}, place{}, err
		}
	}
	return dataAt, indexAt, k.link(index.dir, indexFile, indexAt.rel) // the index last: a later daemon goes by it
}

// dirsOf are the directories that the places of m's files count.
func (e *Executor) dirsOf(m *mapOutput) *localDirs {
	if m.kept {
		return e.kept.dirs // set before m was made, and never again
	}
	return e.dirs
}
