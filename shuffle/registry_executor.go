package shuffle

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
)

// ErrGone is the error of an executor that has left, or whose place another session has taken.
var ErrGone = errors.New("the executor's membership has ended")

// Executor is the membership of one executor, from Registry.Join to Leave.
type Executor struct {
	registry  *Registry
	app       string
	token     [32]byte // of the application
	encrypted bool     // the application is
	name      string
	dirs      *localDirs
	owner     Owner

	departed atomic.Bool // it has ended, and its map outputs have not
	taken    bool        // over from a daemon before this one
	refused  atomic.Bool // one line about links that cannot be made

	ending   sync.Once
	mu       sync.RWMutex
	gone     bool
	shuffles map[uint32]map[uint64]*mapOutput
	count    int
	bytes    int64
	kept     *kept  // nil: map outputs end with the executor
	release  func() // when departed
	held     int64  // descriptors, of the application's share
}

// mapOutputOverhead is the memory that a map output takes beside its paths, about, with what it is found by.
const mapOutputOverhead = 512

var errShareOfMapOutputs = errors.New("the application has registered as many as its share (weft.app.share) of the memory for them allows")

// takeMapOutput takes the memory of a map output with these files from the application's share.
func (e *Executor) takeMapOutput(data, index place) (cost uint16, ok bool) {
	cost = uint16(mapOutputOverhead + len(data.rel) + len(index.rel)) // paths are short
	return cost, e.registry.quotas.MapOutputs.Take(e.app, int64(cost))
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
	cost, ok := e.takeMapOutput(data, indexFile)
	if !ok {
		return what(errShareOfMapOutputs)
	}
	m, err := e.newMapOutput(o, data, indexFile)
	if err == nil {
		m.cost = cost
		err = e.add(o, m)
	}
	if err != nil {
		e.registry.quotas.MapOutputs.Give(e.app, int64(cost))
		return what(err)
	}
	return nil
}

// add puts m among the executor's map outputs, in place of a former one.
func (e *Executor) add(o MapOutput, m *mapOutput) error {
	e.mu.Lock()
	if e.gone {
		e.mu.Unlock()
		return ErrGone
	}
	outputs := e.shuffles[o.Shuffle]
	former := outputs[o.Map]
	if former == nil && e.count == maxMapOutputs {
		e.mu.Unlock()
		return fmt.Errorf("%d map outputs of this executor are registered already", maxMapOutputs)
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
		e.registry.quotas.MapOutputs.Give(e.app, int64(former.cost))
	}
	return nil
}

// UnregisterShuffle forgets the map outputs of a shuffle, also those of the application's executors that have ended. Blocks being served
// from them are served to their end.
func (e *Executor) UnregisterShuffle(id uint32) {
	e.unregister(id)
	e.registry.unregisterDeparted(e.app, id)
}

// unregister tells how many map outputs are left.
func (e *Executor) unregister(id uint32) (left int) {
	e.mu.Lock()
	outputs, k := e.shuffles[id], e.kept
	delete(e.shuffles, id)
	e.uncount(outputs)
	left = e.count
	e.mu.Unlock()
	e.forget(outputs)
	if k != nil {
		k.unlink(outputs)
	}
	return left
}

// Leave ends the membership: the executor's blocks cannot be found any more, its map outputs and directories are forgotten.
// Blocks being served are served to their end. More than one call is harmless; each returns when what the executor had is given back.
func (e *Executor) Leave() {
	e.registry.dismiss(e)
	e.end()
}

func (e *Executor) end() { e.ending.Do(e.giveBack) }

func (e *Executor) giveBack() {
	e.mu.Lock()
	shuffles, k, release, held := e.shuffles, e.kept, e.release, e.held
	e.gone, e.shuffles = true, nil
	for _, outputs := range shuffles {
		e.uncount(outputs)
	}
	e.mu.Unlock()
	for _, outputs := range shuffles {
		e.forget(outputs)
	}
	e.dirs.close()
	if k != nil {
		k.close()
	}
	e.registry.quotas.Descriptors.Give(e.app, held)
	if release != nil {
		release()
	}
	if e.departed.Load() { // last, as Close waits for those that are not returned
		e.registry.returned(e)
	}
}

func (e *Executor) uncount(outputs map[uint64]*mapOutput) {
	var cost int64
	e.count -= len(outputs)
	for _, m := range outputs {
		e.bytes -= m.size
		cost += int64(m.cost)
	}
	e.registry.quotas.MapOutputs.Give(e.app, cost)
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
