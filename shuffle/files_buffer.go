package shuffle

import "sync"

// readBuffer is what index and data files are read into. A multiple of the size of an index's offset.
type readBuffer [256 << 10]byte

var readBuffers = sync.Pool{New: func() any { return new(readBuffer) }}

func getBuffer() *readBuffer  { return readBuffers.Get().(*readBuffer) }
func putBuffer(b *readBuffer) { readBuffers.Put(b) }
