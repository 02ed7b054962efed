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

const layoutOverhead = 400 // bytes of a layout beside its arrays, about

// bytes is the memory that l holds.
func (l *layout) bytes() int64 {
	n := layoutOverhead + l.index.bytes()
	if l.sums != nil {
		n += 4*int64(cap(l.sums.sums)) + 16*int64(cap(l.sums.known))
	}
	return n
}

// layoutCache bounds the memory of the layouts of all map outputs. The least recently used are dropped first; reading an index again
// is cheap, and partitions are rarely asked for twice.
type layoutCache struct {
	max int64 // bytes

	mu     sync.Mutex
	bytes  int64
	recent *list.List // of *cachedLayout, most recently used first
	of     map[*mapOutput]*list.Element
}

type cachedLayout struct {
	key    *mapOutput
	layout *layout
}

func newLayoutCache(most int64) *layoutCache {
	return &layoutCache{max: most, recent: list.New(), of: make(map[*mapOutput]*list.Element)}
}

// get gives the layout that key has for this file, or nil.
func (c *layoutCache) get(key *mapOutput, file fileID) *layout {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.of[key]
	if e == nil || e.Value.(*cachedLayout).layout.file != file {
		return nil
	}
	c.recent.MoveToFront(e)
	return e.Value.(*cachedLayout).layout
}

// add keeps l for key in place of any other. If another caller was faster with the same file, its layout is kept and returned, so that
// no partition's checksum is computed twice.
func (c *layoutCache) add(key *mapOutput, l *layout) *layout {
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
	c.of[key] = c.recent.PushFront(&cachedLayout{key: key, layout: l})
	c.bytes += l.bytes()
	for c.bytes > c.max && c.recent.Len() > 1 { // the newest stays, however large
		c.remove(c.recent.Back())
	}
	return l
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
	l := c.recent.Remove(e).(*cachedLayout)
	delete(c.of, l.key)
	c.bytes -= l.layout.bytes()
}
