package shuffle

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
)

// ErrGone is the error of an executor that has left, or whose place another session has taken.
var ErrGone = errors.New("the executor's membership has ended")

// Executor is the membership of one executor, from Registry.Join to Leave.
type Executor struct {
	registry *Registry
	app      string
	name     string
	dirs     *localDirs
	owner    Owner

	mu       sync.RWMutex
	gone     bool
	shuffles map[uint32]map[uint64]*mapOutput
	count    int
	bytes    int64
}

// RegisterMapOutput makes the blocks of a committed map output known; one registered before under the same ids is forgotten.
// What the files hold is looked at when a block of them is first asked for. ErrOutside ends the session. After any other error the
// map output is just not registered, and readers get its blocks by asking the executor for them.
func (e *Executor) RegisterMapOutput(o MapOutput) error {
	what := func(err error) error {
		return fmt.Errorf("map output %d of shuffle %d: %w", o.Map, o.Shuffle, err)
	}
	if o.Partitions > MaxPartitions || o.Shuffle > MaxShuffleID || o.Map > MaxMapID {
		return what(fmt.Errorf("ids or its %d partitions are beyond what is supported", o.Partitions))
	}
	data, err := e.dirs.find(o.Data)
	if err != nil {
		return what(err)
	}
	indexFile, err := e.dirs.find(o.Index)
	if err != nil {
		return what(err)
	}
	size, err := e.sizeOf(data)
	if err != nil {
		return what(err)
	}
	m := newMapOutput(data, indexFile, o.Partitions, size)

	e.mu.Lock()
	if e.gone {
		e.mu.Unlock()
		return what(ErrGone)
	}
	outputs := e.shuffles[o.Shuffle]
	former := outputs[o.Map]
	if former == nil && e.count == maxMapOutputs {
		e.mu.Unlock()
		return what(fmt.Errorf("%d map outputs of this executor are registered already", maxMapOutputs))
	}
	if outputs == nil {
		outputs = make(map[uint64]*mapOutput)
		e.shuffles[o.Shuffle] = outputs
	}
	outputs[o.Map] = m
	e.count++
	e.bytes += m.size
	if former != nil {
		e.count--
		e.bytes -= former.size
	} else {
		e.registry.metrics.MapOutputs.Inc()
	}
	e.mu.Unlock()
	if former != nil {
		e.registry.outputs.forget(former)
	}
	return nil
}

// sizeOf is 0 where there is no file: then every partition should be empty, which the index will tell.
func (e *Executor) sizeOf(data place) (int64, error) {
	file, stat, err := e.dirs.open(data)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	return stat.Size, file.Close()
}

// UnregisterShuffle forgets the map outputs of a shuffle. Blocks being served from them are served to their end.
func (e *Executor) UnregisterShuffle(id uint32) {
	e.mu.Lock()
	outputs := e.shuffles[id]
	delete(e.shuffles, id)
	e.uncount(outputs)
	e.mu.Unlock()
	e.forget(outputs)
}

// Leave ends the membership: the executor's blocks cannot be found any more, its map outputs and directories are forgotten.
// Blocks being served are served to their end. More than one call is harmless.
func (e *Executor) Leave() {
	e.registry.dismiss(e)
	e.end()
}

func (e *Executor) end() {
	e.mu.Lock()
	gone := e.gone
	shuffles := e.shuffles
	e.gone, e.shuffles = true, nil
	for _, outputs := range shuffles {
		e.uncount(outputs)
	}
	e.mu.Unlock()
	for _, outputs := range shuffles {
		e.forget(outputs)
	}
	if !gone {
		e.dirs.close()
	}
}

func (e *Executor) uncount(outputs map[uint64]*mapOutput) {
	e.count -= len(outputs)
	for _, m := range outputs {
		e.bytes -= m.size
	}
	e.registry.metrics.MapOutputs.Sub(float64(len(outputs)))
}

func (e *Executor) forget(outputs map[uint64]*mapOutput) {
	for _, m := range outputs {
		e.registry.outputs.forget(m)
	}
}

// mapOutput is nil where none is registered.
func (e *Executor) mapOutput(shuffle uint32, mapID uint64) *mapOutput {
	e.mu.RLock()
	defer e.mu.RUnlock()
	return e.shuffles[shuffle][mapID]
}
