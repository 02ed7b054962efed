package shuffle

import (
	"time"

	"weft/shuffle/mempool"
)

// FetchRequest asks for blocks of one executor at one peer.
type FetchRequest struct {
	App      App
	Executor string // the owner
	Peer     PeerAddr
	Blocks   []BlockID
	Pieces   bool           // deliver in pieces, in order of their offsets, which the receiver gives back at once
	Arena    *mempool.Arena // where the bytes go
	Timeout  time.Duration  // without progress; 0: none
}

// Delivery is one lease in which one or more whole blocks, or one piece of a block, lie.
type Delivery struct {
	Lease   *mempool.Lease // has as many shares as there are Entries, which are the receiver's; nil where all have no bytes
	Entries []Entry

	PieceOffset int64 // Pieces: where the only entry belongs in its block
	BlockLength int64 // Pieces: length of the whole block; 0 otherwise

	Transport string // the Name of the transport that moved the bytes
}

// Entry is one block of a Delivery.
type Entry struct {
	Block  int   // index in the request
	Offset int64 // in the region, not in the lease
	Length int64
}

// Sink receives what a fetch ends with. Every block is ended exactly once: by its last Delivered or by one Failed. Calls come from
// any goroutine, never two at once for one fetch; they do not block.
type Sink interface {
	Delivered(d Delivery)
	Failed(blocks []int, reason Reason, detail string)
}
