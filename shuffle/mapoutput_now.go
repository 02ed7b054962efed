package shuffle

import (
	"sync"
	"sync/atomic"
)

// quick is how many bytes are copied, or have their checksum computed, in some 10 µs: whoever has them to do does it.
const quick = 128 << 10

// quickPartitions is of how many partitions the checksums are looked up, and put together, in that time or some times of it.
const quickPartitions = 256

// coldRequests is how many requests for a file are left to others once its bytes were not in memory: finding that out begins to read them, which takes
// some 100 µs.
const coldRequests = 64

// quickBuffer is what blocks are read into that are answered at once. It is used again when each of them was given back.
type quickBuffer struct {
	b    [quick]byte
	open atomic.Int32
	free func() // gives one of the blocks back; one function for all, so that a block costs no allocation
}

var quickBuffers sync.Pool

// getQuickBuffer is for so many blocks.
func getQuickBuffer(blocks int) *quickBuffer {
	b, ok := quickBuffers.Get().(*quickBuffer)
	if !ok {
		b = new(quickBuffer)
		b.free = func() {
			if b.open.Add(-1) == 0 {
				quickBuffers.Put(b)
			}
		}
	}
	b.open.Store(int32(blocks))
	return b
}

// now answers a request for blocks of m, each of which begins where the one before it ends, from what is in memory: the file is open, its index read, and
// their bytes in the kernel's cache of pages. nil: something of that has to be waited for, or they are more than is quick or
// than is sent eagerly, or none of these; locate answers then.
func (o *mapOutputs) now(m *mapOutput, req *LocateRequest) []Found {
	if req.EagerBlock == 0 || req.EagerBytes == 0 || len(req.Blocks) > quickPartitions {
		return nil
	}
	file := o.files.acquire(m)
	if file == nil {
		return nil
	}
	defer file.unref()
	if file.cold.Load() > 0 {
		file.cold.Add(-1)
		return nil
	}
	id, err := file.id()
	if err != nil {
		return nil
	}
	l := o.layouts.get(m, id)
	if l == nil {
		return nil
	}
	found := l.now(m.partitions, req)
	if found == nil {
		return nil
	}
	last := &found[len(found)-1]
	begin := found[0].Offset
	buffer := getQuickBuffer(len(found))
	bytes := buffer.b[:last.Offset+last.Length-begin]
	if n, err := o.readCached(int(file.fd), bytes, begin); err != nil || n < len(bytes) {
		quickBuffers.Put(buffer)
		file.cold.Store(coldRequests)
		return nil
	}
	l.give(req.Blocks, found, bytes, buffer.free)
	return found
}

// now finds where the blocks lie in the data file; nil as above.
func (l *layout) now(partitions uint32, req *LocateRequest) []Found {
	found := make([]Found, 0, len(req.Blocks))
	most, rest := int64(min(req.EagerBytes, quick)), uint32(quickPartitions)
	for i, block := range req.Blocks {
		n := block.ReduceEnd - block.ReduceStart
		if block.ReduceEnd > partitions || n > rest {
			return nil
		}
		f := l.lies(block)
		follows := i == 0 || f.Offset == found[i-1].Offset+found[i-1].Length
		if !follows || f.Length == 0 || f.Length > min(int64(req.EagerBlock), most) {
			return nil
		}
		most, rest = most-f.Length, rest-n
		found = append(found, f)
	}
	return found
}
