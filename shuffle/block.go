package shuffle

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Limits of what names a block. They are those of Spark's own types (Int, Long); a name of a block is a file name in practice.
const (
	MaxShuffleID   = math.MaxInt32
	MaxMapID       = math.MaxInt64
	MaxReduceID    = math.MaxInt32 // also of the exclusive end of a range
	MaxNameLength  = 4096          // bytes
	MaxBlocks      = 1 << 20       // of one request
	shufflePrefix  = "shuffle_"
	shuffleNumbers = 4 // at most, in a name
)

// BlockID names a block. Shuffle blocks are numbers (Name is empty); every other block is Spark's BlockId.name.
type BlockID struct {
	Shuffle     uint32
	Map         uint64
	ReduceStart uint32
	ReduceEnd   uint32 // exclusive
	Name        string
}

// App is a Spark application: its id, and the secret that only its driver, its executors and their daemons know, its token. What is Encrypted crosses
// the network under TLS alone: no transport opens such an application on another connection, at either end of it.
type App struct {
	ID        string
	Token     [TokenLen]byte
	Encrypted bool
}

// TokenLen is the length of a token.
const TokenLen = 32

// String is the id: a token gets into no log.
func (a App) String() string { return a.ID }

// GoString is the id, too.
func (a App) GoString() string { return a.ID }

// Reason says in one word why a block was not delivered; the words are the label values of the counters.
// The numbers are those of proto/block.proto.
type Reason uint32

// BlockError is why one block was not delivered.
type BlockError struct {
	Reason Reason
	Detail string
}

func (e *BlockError) Error() string { return e.Reason.String() + ": " + e.Detail }

// IsShuffle tells whether b is a block of a map output.
func (b BlockID) IsShuffle() bool { return b.Name == "" }

// String is Spark's name of the block.
func (b BlockID) String() string {
	if b.Name != "" {
		return b.Name
	}
	name := make([]byte, 0, 64)
	name = append(name, shufflePrefix...)
	name = strconv.AppendUint(name, uint64(b.Shuffle), 10)
	name = strconv.AppendUint(append(name, '_'), b.Map, 10)
	name = strconv.AppendUint(append(name, '_'), uint64(b.ReduceStart), 10)
	if uint64(b.ReduceEnd) != uint64(b.ReduceStart)+1 {
		name = strconv.AppendUint(append(name, '_'), uint64(b.ReduceEnd), 10)
	}
	return string(name)
}

// ParseBlockID understands Spark's names of shuffle blocks, shuffle_<shuffle>_<map>_<reduce> and
// shuffle_<shuffle>_<map>_<start>_<end> with the end exclusive. Every other name, also one that only looks similar, is kept as Name.
// An error means that no block has such a name.
func ParseBlockID(name string) (BlockID, error) {
	if err := checkName(name); err != nil {
		return BlockID{}, err
	}
	if id, ok := parseShuffle(name); ok {
		return id, nil
	}
	return BlockID{Name: name}, nil
}

func checkName(name string) error {
	if name == "" || len(name) > MaxNameLength {
		return fmt.Errorf("a block's name has 1 to %d bytes, not %d", MaxNameLength, len(name))
	}
	return nil
}

func parseShuffle(name string) (BlockID, bool) {
	rest, ok := strings.CutPrefix(name, shufflePrefix)
	if !ok {
		return BlockID{}, false
	}
	var numbers [shuffleNumbers]uint64
	n := 0
	for more := true; more; n++ {
		var word string
		word, rest, more = strings.Cut(rest, "_")
		if n == len(numbers) {
			return BlockID{}, false
		}
		if numbers[n], ok = parseNumber(word); !ok {
			return BlockID{}, false
		}
	}
	if n < shuffleNumbers-1 {
		return BlockID{}, false
	}
	start, end := numbers[2], numbers[2]+1
	if n == shuffleNumbers {
		end = numbers[3]
	}
	if !validShuffle(numbers[0], numbers[1], start, end) {
		return BlockID{}, false
	}
	return BlockID{Shuffle: uint32(numbers[0]), Map: numbers[1], ReduceStart: uint32(start), ReduceEnd: uint32(end)}, true
}

// parseNumber takes the decimal digits that Spark would write, so no sign and no leading zero: two names are never one block.
func parseNumber(word string) (uint64, bool) {
	if word == "" || (word[0] == '0' && len(word) > 1) || word[0] == '+' || word[0] == '-' {
		return 0, false
	}
	v, err := strconv.ParseUint(word, 10, 64)
	return v, err == nil
}

func validShuffle(shuffle, mapID, start, end uint64) bool {
	return shuffle <= MaxShuffleID && mapID <= MaxMapID && start < end && end <= MaxReduceID
}
