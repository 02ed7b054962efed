package shuffle

import (
	"container/list"
	"sync"
)

// layout is what is known about one data file once its index was read: where its partitions lie, and their checksums.
// It holds as long as the file is the same and has the same size.
type layout struct {
	file  fileID
	index *index
	sums  *partitionSums // nil where checksums are off
}

// fileID tells a data file from another one at the same path, and from itself before it was cut.
type fileID struct {
	dev, ino uint64
	size     int64
}

// lies is where a block lies.
func (l *layout) lies(block BlockID) Found {
	f := Found{Offset: l.index.offset(block.ReduceStart), Checked: l.sums != nil}
	f.Length = l.index.offset(block.ReduceEnd) - f.Offset
	return f
}

// find is where a block lies, and its checksum, which is known by now.
func (l *layout) find(block BlockID) Found {
	f := l.lies(block)
	if l.sums != nil {
		f.CRC = l.sums.of(l.index, block.ReduceStart, block.ReduceEnd)
	}
	return f
}

const layoutOverhead = 400 // bytes of a layout beside its arrays, about

// bytes is the memory that l holds.
func (l *layout) bytes() int64 {
	n := layoutOverhead + l.index.bytes()
	if l.sums != nil {
		n += l.sums.bytes()
	}
	return n
}

// layoutCache bounds the memory of the layouts of all map outputs. The least recently used of the application that has most are dropped first:
// so one that has many served costs another one nothing. Reading an index again is cheap, and partitions are rarely asked for twice.
type layoutCache struct {
	max int64 // bytes

	mu    sync.Mutex
	bytes int64
	apps  map[string]*appLayouts
	of    map[*mapOutput]*list.Element
}

// appLayouts are those of one application, which has some.
type appLayouts struct {
	name   string
	bytes  int64
	recent list.List // of *cachedLayout, most recently used first
}

type cachedLayout struct {
	app    *appLayouts
	key    *mapOutput
	layout *layout
}

func newLayoutCache(most int64) *layoutCache {
	return &layoutCache{max: most, apps: make(map[string]*appLayouts), of: make(map[*mapOutput]*list.Element)}
}

// get gives the layout that key has for this file, or nil.
func (c *layoutCache) get(key *mapOutput, file fileID) *layout {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.of[key]
	if e == nil || e.Value.(*cachedLayout).layout.file != file {
		return nil
	}
	l := e.Value.(*cachedLayout)
	l.app.recent.MoveToFront(e)
	return l.layout
}

// add keeps l for key in place of any other. If another caller was faster with the same file, its layout is kept and returned, so that
// no partition's checksum is computed twice.
func (c *layoutCache) add(app string, key *mapOutput, l *layout) *layout {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.of[key]; e != nil {
		if first := e.Value.(*cachedLayout).layout; first.file == l.file {
			return first
		}
		c.remove(e)
	}
	if key.dropped {
		return l
	}
	of := c.apps[app]
	if of == nil {
		of = &appLayouts{name: app}
		c.apps[app] = of
	}
	c.of[key] = of.recent.PushFront(&cachedLayout{app: of, key: key, layout: l})
	of.bytes += l.bytes()
	c.bytes += l.bytes()
	for c.bytes > c.max {
		oldest := c.most().recent.Back()
		if oldest == c.of[key] {
			break // the newest stays, however large
		}
		c.remove(oldest)
	}
	return l
}

// most is the application whose layouts take most. There is one.
func (c *layoutCache) most() (most *appLayouts) {
	for _, of := range c.apps {
		if most == nil || of.bytes > most.bytes {
			most = of
		}
	}
	return most
}

// forget drops the layout of key, which was given up; a request that still knows key keeps none.
func (c *layoutCache) forget(key *mapOutput) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key.dropped = true
	if e := c.of[key]; e != nil {
		c.remove(e)
	}
}

func (c *layoutCache) remove(e *list.Element) {
	l := e.Value.(*cachedLayout)
	l.app.recent.Remove(e)
	delete(c.of, l.key)
	c.bytes -= l.layout.bytes()
	if l.app.bytes -= l.layout.bytes(); l.app.recent.Len() == 0 {
		delete(c.apps, l.app.name)
	}
}
