package shuffle

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"weft/internal/metrics"
)

// FetchOptions say how blocks are fetched. Sizes are bytes.
type FetchOptions struct {
	EagerBlock int           // larger blocks do not come with the answer to Locate, but for one that is asked for alone
	EagerMax   int           // memory set aside for one answer
	Piece      int           // what one read asks for at most: larger blocks are cut, smaller ones read together
	Window     int           // reads that one fetch may have in flight
	MemoryWait time.Duration // how long a fetch waits for arena space
}

// ErrCancelled is the cause to end a fetch's context with when its executor wants no more of it.
var ErrCancelled = Errorf(ReasonCancelled, "the executor cancelled the request")

// maxPiece is what a transport must be able to move in one read.
const maxPiece = 1 << 30

// Fetcher fetches blocks from peers into arenas. Its methods may be called from many goroutines.
type Fetcher struct {
	peers   *Peers
	opts    FetchOptions
	metrics *metrics.Set
	log     *slog.Logger
	streams atomic.Uint64  // number of the last fetch
	running sync.WaitGroup // fetches that have not ended, and what goes on for them beside
}

// NewFetcher returns a Fetcher over the connections of peers.
func NewFetcher(peers *Peers, opts FetchOptions, m *metrics.Set, log *slog.Logger) *Fetcher {
	opts.Piece = min(max(opts.Piece, 4<<10), maxPiece)
	opts.Window = max(opts.Window, 1)
	opts.EagerMax = min(max(opts.EagerMax, 0), maxPiece)
	opts.EagerBlock = min(max(opts.EagerBlock, 0), opts.EagerMax)
	return &Fetcher{peers: peers, opts: opts, metrics: m, log: log}
}

// Fetch begins to fetch the blocks of req and returns at once; sink learns how each of them ends. When ctx ends, sink is told so at
// once for every block that it was not given; memory that a transport may still write to goes back to the arena later. The
// reason is that of the BlockError which ended ctx (ErrCancelled), else ReasonCancelled.
func (f *Fetcher) Fetch(ctx context.Context, req *FetchRequest, sink Sink) {
	x := &fetch{
		Fetcher:  f,
		ctx:      ctx,
		req:      req,
		sink:     sink,
		start:    time.Now(),
		stream:   f.streams.Add(1),
		ended:    make([]bool, len(req.Blocks)),
		left:     len(req.Blocks),
		progress: time.Now(),
	}
	if x.left > 0 {
		x.running.Add(1)
		x.begin()
	}
}

// Wait returns when every fetch has ended, and nothing makes memory for one any more. What a transport may still write to goes back to its arena when
// the connections are closed. It is called when the last fetch was begun.
func (f *Fetcher) Wait() { f.running.Wait() }
