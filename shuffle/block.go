package shuffle

import "fmt"

// BlockID names a block. Shuffle blocks are numbers (Name is empty); every other block is Spark's BlockId.name.
type BlockID struct {
	Shuffle     uint32
	Map         uint64
	ReduceStart uint32
	ReduceEnd   uint32 // exclusive
	Name        string
}

// IsShuffle tells whether b is a block of a map output.
func (b BlockID) IsShuffle() bool { return b.Name == "" }

// String is Spark's name of the block.
func (b BlockID) String() string {
	switch {
	case b.Name != "":
		return b.Name
	case b.ReduceEnd == b.ReduceStart+1:
		return fmt.Sprintf("shuffle_%d_%d_%d", b.Shuffle, b.Map, b.ReduceStart)
	default:
		return fmt.Sprintf("shuffle_%d_%d_%d_%d", b.Shuffle, b.Map, b.ReduceStart, b.ReduceEnd)
	}
}

// App is a Spark application: its id, and the token that only its driver and executors know.
type App struct {
	ID    string
	Token [32]byte
}

// Reason says in one word why a block was not delivered; the words are the label values of the counters.
// The numbers are those of proto/block.proto.
type Reason uint32

// BlockError is why one block was not delivered.
type BlockError struct {
	Reason Reason
	Detail string
}

func (e *BlockError) Error() string { return fmt.Sprintf("%s: %s", e.Reason, e.Detail) }
