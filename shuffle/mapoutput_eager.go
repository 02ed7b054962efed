package shuffle

import "fmt"

// eagerBlocks reads blocks that are to come with the answer of one request: each once, so that its checksum is computed from the bytes that are sent.
type eagerBlocks struct {
	most   int64        // bytes of a block
	room   int64        // bytes of all that are still to come
	buffer *quickBuffer // what the next ones are read into; nil: a new one
	used   int          // of its bytes
}

func newEagerBlocks(req *LocateRequest) *eagerBlocks {
	return &eagerBlocks{most: int64(min(req.EagerBlock, quick)), room: int64(req.EagerBytes)}
}

// end is called when the request was resolved.
func (e *eagerBlocks) end() {
	if e.buffer != nil {
		e.buffer.free()
		e.buffer = nil
	}
}

// run finds the blocks at the beginning that are small, have bytes, and lie one behind the other in the data file: as many as there is room for.
func (e *eagerBlocks) run(l *layout, blocks []BlockID, found []Found) (n int, length int64) {
	for n < len(blocks) && blocks[n].ReduceEnd <= l.index.partitions() {
		f := l.lies(blocks[n])
		follows := n == 0 || f.Offset == found[0].Offset+length
		if !follows || f.Length == 0 || f.Length > e.most || length+f.Length > min(e.room, quick) {
			break
		}
		found[n] = f
		length += f.Length
		n++
	}
	return n, length
}

// read answers a run of blocks, found where they lie, by their bytes. On an error all that they hold was given back.
func (e *eagerBlocks) read(l *layout, file *dataFile, blocks []BlockID, found []Found, length int64) error {
	if e.buffer == nil || length > int64(quick-e.used) {
		e.end()
		e.buffer, e.used = getQuickBuffer(1), 0 // until end
	}
	bytes := e.buffer.b[e.used : e.used+int(length)]
	if n, err := file.fd.ReadAt(bytes, found[0].Offset); n < len(bytes) {
		at := found[0].Offset
		clear(found)
		return fmt.Errorf("%s ends at byte %d, a block needs %d: %w", file.name, at+int64(n), at+length, noEOF(err))
	}
	e.used += len(bytes)
	e.room -= length
	e.buffer.open.Add(int32(len(blocks)))
	l.give(blocks, found, bytes, e.buffer.free)
	return nil
}

// give makes found, which lie one behind the other, the bytes that were read of them; free is called for each when it was given back.
func (l *layout) give(blocks []BlockID, found []Found, bytes []byte, free func()) {
	for i := range found {
		f := &found[i]
		f.Mem, bytes, f.Offset, f.Close = bytes[:f.Length:f.Length], bytes[f.Length:], 0, free
		if l.sums != nil {
			f.CRC = l.sums.learn(l.index, blocks[i], f.Mem)
		}
	}
}
