package tcp

import (
	"math/bits"
	"sync"
)

// buffer is memory of a frame: a message, or the eager blocks of an answer. It is used again once the frame was sent.
type buffer struct {
	b     []byte
	class int
}

const (
	minClass = 9  // 512 bytes
	maxClass = 20 // 1 MiB; what is larger is left to the GC
)

var buffers [maxClass + 1]sync.Pool

// getBuffer returns a buffer of length 0 that holds n bytes.
func getBuffer(n int) *buffer {
	class := max(bits.Len(uint(max(n, 1)-1)), minClass)
	if class > maxClass {
		return &buffer{b: make([]byte, 0, n), class: class}
	}
	if b, ok := buffers[class].Get().(*buffer); ok {
		return b
	}
	return &buffer{b: make([]byte, 0, 1<<class), class: class}
}

func (b *buffer) free() {
	if b.class > maxClass || cap(b.b) != 1<<b.class {
		return
	}
	b.b = b.b[:0]
	buffers[b.class].Put(b)
}
