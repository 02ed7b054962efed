package jvmbridge

import (
	"fmt"
	"os"
	"sync"

	"weft/jvmbridge/shm"
)

// files are the memory files of a session's upcall segments, by region. A block that its executor has copied there is sent from the file, by
// sendfile(2), so that the kernel copies nothing.
type files struct {
	mu sync.Mutex
	by map[uint32]*os.File
}

// keep takes a descriptor of its own; the segment's own goes to the JVM. What sendfile cannot send from is not kept.
func (f *files) keep(region uint32, kind shm.Kind, segment *shm.Segment) error {
	if kind != shm.Upcall || segment.Huge() {
		return nil
	}
	file, err := segment.File()
	if err != nil {
		return fmt.Errorf("region %d: %w", region, err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.by == nil {
		f.by = map[uint32]*os.File{}
	}
	f.by[region] = file
	return nil
}

// of is the file of a region in which the caller has a lease; nil: the region has none.
func (f *files) of(region uint32) *os.File {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.by[region]
}

// drop closes the file of a region in which nobody has a lease any more.
func (f *files) drop(region uint32, kind shm.Kind) error {
	if kind != shm.Upcall { // the other arena counts its regions by itself
		return nil
	}
	f.mu.Lock()
	file := f.by[region]
	delete(f.by, region)
	f.mu.Unlock()
	if file == nil {
		return nil
	}
	return file.Close()
}
