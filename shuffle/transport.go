package shuffle

import (
	"context"
	"os"
)

// Transport moves blocks between daemons. An implementation knows connections and memory; it knows no Spark, no files'
// names and no policy about which blocks to ask for.
type Transport interface {
	// Name is the word for this transport in logs and metrics: "tcp", "tcp+tls", "rdma", "mem".
	Name() string

	// Dial connects to the peer. It fails when ctx ends. The Conn belongs to the caller, who closes it. A *BlockError says with which
	// reason the peer's blocks fail; any other error stands for ReasonPeerUnreachable.
	Dial(ctx context.Context, peer PeerAddr) (Conn, error)
}

// PeerAddr says where a peer listens and which incarnation of it is meant.
type PeerAddr struct {
	Hosts []string // IP addresses or names, best first
	Port  uint16
	// DaemonID: a daemon that answers with another id is not this peer any more. Zero is any daemon, for looking at a host whose daemon is not known:
	// Peers refuse it, so that no fetch goes to whoever happens to listen.
	DaemonID [16]byte
}

// Conn is one connection to a peer, for asking. What it asks for of an application it gets with that application's token alone; where it
// leads to another daemon, both sides prove to each other that they have it, and do not show it. Methods may be called from many goroutines. Each done function is called
// exactly once, never by the goroutine that is inside Locate or Read and never with a lock held. It must not wait for anything; it may
// compute, and begin operations.
//
// A read of a block that is Checked may bring other bytes where its file was truncated meanwhile: the checksum tells. Of any other block it fails.
//
// An operation that fails with a *BlockError was answered by the owner and leaves the connection in use. Any other error means that
// the connection is of no more use.
//
// Memory given to Locate or Read (eager, Dst) belongs to the connection until done was called: a cancelled or timed-out
// operation may still write to it before. This is what makes reuse of arena memory safe, so no implementation may
// call done early.
type Conn interface {
	// Locate asks for blocks. Blocks that the owner finds small enough arrive in eager, one behind the other in order of their
	// index; the others get a handle for Read. An error ends the whole request; errors of one block are in its Located.
	Locate(req *LocateRequest, eager []byte, done func([]Located, error))

	// Read begins reads, which end in any order. It keeps nothing of reqs but their memory and functions.
	Read(reqs []ReadRequest)

	// Release gives handles up; none is nothing. A read of them that is in flight may fail with a *BlockError then. Best effort: the owner
	// drops all of them when the connection ends.
	Release(handles []uint64)

	// Close ends the connection. It returns when every done function was called and no memory will be written any more.
	Close() error

	// Closed is closed when the connection is of no more use, by Close or by a failure.
	Closed() <-chan struct{}
}

// LocateRequest asks one executor's daemon for blocks.
type LocateRequest struct {
	App        App
	Executor   string
	Blocks     []BlockID // shuffle blocks first, then the others, as proto/block.proto numbers them
	EagerBlock int       // the owner sends blocks of at most this many bytes eagerly,
	EagerBytes int       // and no more than this of all; 0 at the reader, whose Conn is given the memory
}

// Located is the owner's answer for one block.
type Located struct {
	Length   int64
	CRC      uint32 // CRC32C of the whole block, valid if Checked
	Checked  bool
	Handle   uint64 // 0: the bytes are in the eager buffer at EagerOff
	EagerOff int
	Err      *BlockError // not nil: the block is not served, and nothing else is valid
}

// Range is a part of a located block.
type Range struct {
	Handle uint64
	Offset int64
	Length int64
}

// ReadRequest asks for ranges of located blocks, one behind the other.
type ReadRequest struct {
	Ranges  []Range
	Release []uint64 // handles to give up once the ranges were served; no other read of them may be in flight
	Dst     []byte   // as long as the ranges are together
	Stream  uint64   // reads of one stream take turns with those of others where they wait for the same connection; 0: a stream of its own

	// Arrived, unless nil, may be told before Done, by the same goroutine, that Dst[:n] is there: as a rule in the processor's cache still. n
	// grows from call to call. A transport that only learns of the end of a read leaves it out. It takes no lock and begins nothing.
	Arrived func(n int)
	// By, unless nil, is told before Done, by the same goroutine, how the bytes came, where that is not the Conn's own transport: "rdma".
	By   func(transport string)
	Done func(error)
}

// Source is the serving side of a transport: who answers Locate. Implemented by Service.
type Source interface {
	// App is the application of that id as it is here, with its token, which readers have to prove that they have. It does not block. A
	// *BlockError says why there is none.
	App(id string) (App, error)

	// Locate resolves the blocks of req, in order. It may block (page cache misses, upcalls) until ctx ends. Every Found without
	// an error is closed by the caller, once. An error is told to the reader as the error of every block.
	Locate(ctx context.Context, req *LocateRequest) ([]Found, error)

	// Ask is Locate where no goroutine has to wait: for blocks that lie ready in memory, and for one block for which its executor is asked. done is
	// called once, by any goroutine, perhaps before Ask returns, and does not block. False: it is another request, or would have to wait. Then nothing was
	// begun, and done is not called.
	Ask(ctx context.Context, req *LocateRequest, done func([]Found)) bool
}

// Found is one block as its owner's daemon can serve it. Exactly one of File and Mem is set where Length > 0.
type Found struct {
	Length  int64
	CRC     uint32
	Checked bool
	Err     *BlockError

	File   *os.File // bytes [Offset, Offset+Length) of this file; read by pread and sendfile alone; a mapping is for a device
	Offset int64
	Mem    []byte // or these bytes, valid until Close

	MemFile   *os.File // unless nil: the memory file in which Mem lies, at MemOffset; open until Close
	MemOffset int64

	Close func() // gives File or Mem back; nil where there is nothing to give back
}

// ErrOrder is what a Conn says to a LocateRequest whose shuffle blocks do not come first.
var ErrOrder = Errorf(ReasonInternal, "shuffle blocks must come before other blocks in a request")

// Ordered tells whether the shuffle blocks come first.
func (r *LocateRequest) Ordered() bool {
	named := false
	for i := range r.Blocks {
		if !r.Blocks[i].IsShuffle() {
			named = true
		} else if named {
			return false
		}
	}
	return true
}

// ReadAt fills p with the block's bytes from off. A file that ends before is a ReasonBadMapOutput.
func (f *Found) ReadAt(p []byte, off int64) error {
	if off < 0 || off+int64(len(p)) > f.Length {
		return Errorf(ReasonInternal, "range [%d, %d) lies outside of a block of %d bytes", off, off+int64(len(p)), f.Length)
	}
	if f.File == nil {
		copy(p, f.Mem[off:])
		return nil
	}
	if n, err := f.File.ReadAt(p, f.Offset+off); n < len(p) {
		return Errorf(ReasonBadMapOutput, "%s: read %d bytes at %d, got %d: %v", f.File.Name(), len(p), f.Offset+off, n, err)
	}
	return nil
}
