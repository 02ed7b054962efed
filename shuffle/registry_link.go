package shuffle

import (
	"errors"
	"fmt"
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
	dataLink, indexLink, err := e.link(k, o, file, data, index)
	if err != nil {
		if !e.refused.Swap(true) {
			e.registry.log.Warn("map outputs of an executor will end with it, as no link to their files can be made", "app", e.app, "executor", e.name, "error", err)
		}
		return m, nil
	}
	m = newMapOutput(dataLink, indexLink, o.Partitions, stat.Size)
	m.kept = true
	return m, nil
}

// link makes the links of one map output; file is its data file, if there is one.
func (e *Executor) link(k *kept, o MapOutput, file *os.File, data, index place) (dataLink, indexLink place, err error) {
	indexFile, _, err := e.dirs.open(index)
	if err != nil {
		return place{}, place{}, err
	}
	defer indexFile.Close()
	name := fmt.Sprintf("%d_%d", o.Shuffle, o.Map)
	dataLink, indexLink = place{data.dir, name + ".data"}, place{index.dir, name + ".index"}
	if file != nil {
		if err := k.link(data.dir, file, dataLink.rel); err != nil {
			return place{}, place{}, err
		}
	}
	return dataLink, indexLink, k.link(index.dir, indexFile, indexLink.rel)
}

// dirsOf are the directories that the places of m's files count.
func (e *Executor) dirsOf(m *mapOutput) *localDirs {
	if m.kept {
		return e.kept.dirs // set before m was made, and never again
	}
	return e.dirs
}
