package shuffle

import "context"

// Direct takes block bytes out of the owner's memory without its processor: RDMA. What the two sides have to tell each other for that goes over
// a connection of another transport, which is also the way for whatever Direct cannot do. Its methods may be called from many goroutines.
type Direct interface {
	// Name is the word for it in logs and metrics: "rdma".
	Name() string

	// Expose lets readers of the application read f where it lies, until the returned function is called. An error means that f goes the other
	// way, and that somebody was told why where that is of interest.
	Expose(app App, f *Found) ([]Part, func(), error)

	// Invite lets one reader of the application's blocks connect, soon. withdraw ends the connection that came of it.
	Invite(app App) (invitation []byte, withdraw func(), err error)

	// Dial connects to the owner who sent the invitation, to read into memory of the application. It fails when ctx ends.
	Dial(ctx context.Context, app App, invitation []byte) (DirectConn, error)
}

// Part is a part of an exposed block: bytes of the owner's memory, and the key to them.
type Part struct {
	Addr   uint64
	Key    uint32
	Length int64
}

// DirectConn reads what one peer exposed. Its methods may be called from many goroutines.
type DirectConn interface {
	// Knows tells whether dst is memory that can be read into.
	Knows(dst []byte) bool

	// Read begins reads into memory that it knows.
	Read(reqs []DirectRead)

	// Gone is closed when the connection is of no more use, and Err then tells why. It has to be closed then.
	Gone() <-chan struct{}
	Err() error

	// Close ends the connection. When it returns nil, every Done was called and no memory will be written any more. After an error memory of reads whose
	// Done was not called may never be used again.
	Close() error
}

// DirectRead asks for parts, one behind the other, in Dst, which is as long as they are together.
type DirectRead struct {
	Dst    []byte
	Parts  []Part
	Stream uint64 // as in ReadRequest
	// Done is called once, with no lock held; with an error possibly by the goroutine that is inside Read, as it is for whatever begins after Close. It must
	// not wait. Nothing is written to Dst any more then. An error means that the connection is of no more use.
	Done func(error)
}
