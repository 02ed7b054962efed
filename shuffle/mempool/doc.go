// Package mempool hands out memory that other processes and devices can see: arenas made of regions, and leases, which
// are temporary rights to a part of a region. A lease is returned exactly once, by its last share.
//
// It refuses to know what the memory is (Backing makes it: memfds, or the heap in tests), who writes to it, and how long
// anybody ought to wait for it (the caller's context says that). It never moves a lease and never lets one cross regions.
package mempool

import "errors"

var (
	// ErrNoSpace: ctx ended before there was room. The lease may be had later, when others were released.
	ErrNoSpace = errors.New("no arena space in time")
	// ErrTooLarge: more bytes than MaxLease, so waiting is of no use.
	ErrTooLarge = errors.New("larger than the arena can hold in one lease")
	// ErrClosed: the arena was closed; its session has ended.
	ErrClosed = errors.New("arena closed")
)

// Backing makes the memory of regions.
type Backing interface {
	// NewRegion makes size bytes of zeroed memory. number is new within the arena. unmake gives the memory back; it is called
	// once, when no lease of the region is out and none ever will be.
	NewRegion(number uint32, size int64) (mem []byte, unmake func() error, err error)
}

// Registrar makes the memory of a region known to a device.
type Registrar interface {
	Register(mem []byte) (Registration, error)
}

// Registration is what a device knows of a region. It is closed before the memory goes.
type Registration interface {
	Close() error
}

// Heap is a Backing of ordinary process memory, for tests and for arenas that no other process sees.
type Heap struct{}

// NewRegion implements Backing.
func (Heap) NewRegion(_ uint32, size int64) ([]byte, func() error, error) {
	return make([]byte, size), func() error { return nil }, nil
}
