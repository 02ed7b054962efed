package shuffle

import (
	"sync"

	"weft/internal/sockio"
)

// quick is how many bytes are copied, or have their checksum computed, in some 10 µs: whoever has them to do does it.
const quick = 64 << 10

// quickBuffer is what a small block is read into.
type quickBuffer struct {
	b    [quick]byte
	free func() // one function for all uses, so that a block costs no allocation
}

var quickBuffers sync.Pool

func getQuickBuffer() *quickBuffer {
	if b, ok := quickBuffers.Get().(*quickBuffer); ok {
		return b
	}
	b := new(quickBuffer)
	b.free = func() { quickBuffers.Put(b) }
	return b
}

// now answers a block of m of at most this many bytes from what is in memory: its file is open, its index read, its checksum known and its
// bytes in the kernel's cache of pages. False: something of that has to be waited for, or the block is none of these, and locate answers.
func (o *mapOutputs) now(m *mapOutput, block BlockID, most int) (Found, bool) {
	if block.ReduceEnd > m.partitions {
		return Found{}, false
	}
	file := o.files.acquire(m)
	if file == nil {
		return Found{}, false
	}
	defer file.unref()
	id, err := file.id()
	if err != nil {
		return Found{}, false
	}
	l := o.layouts.get(m, id)
	if l == nil {
		return Found{}, false
	}
	at := l.index.offset(block.ReduceStart)
	f := Found{Length: l.index.offset(block.ReduceEnd) - at}
	if f.Length == 0 || f.Length > int64(min(most, quick)) {
		return Found{}, false
	}
	if l.sums != nil {
		if !l.sums.knows(block.ReduceStart, block.ReduceEnd) {
			return Found{}, false
		}
		f.CRC, f.Checked = l.sums.of(l.index, block.ReduceStart, block.ReduceEnd), true
	}
	buffer := getQuickBuffer()
	f.Mem, f.Close = buffer.b[:f.Length], buffer.free
	if n, err := sockio.ReadCached(file.fd, f.Mem, at); err != nil || n < len(f.Mem) {
		buffer.free()
		return Found{}, false
	}
	return f, true
}
