package shuffle

import (
	"errors"
	"fmt"

	"weft/internal/pb/blockpb"
)

// BlocksFromProto is the blocks of a request in their order: the shuffle blocks, then the names. An error means that the message breaks
// the protocol, so that the session or connection it came over ends.
func BlocksFromProto(pb *blockpb.Blocks) ([]BlockID, error) {
	shuffles, maps, starts, ends := pb.GetShuffleId(), pb.GetMapId(), pb.GetReduceStart(), pb.GetReduceEnd()
	n := len(shuffles)
	if len(maps) != n || len(starts) != n || len(ends) != n {
		return nil, fmt.Errorf("blocks: arrays of %d shuffle ids, %d map ids, %d starts and %d ends; they must be equally long",
			n, len(maps), len(starts), len(ends))
	}
	names := pb.GetName()
	if n+len(names) > MaxBlocks {
		return nil, fmt.Errorf("blocks: %d in one request; at most %d are allowed", n+len(names), MaxBlocks)
	}
	ids := make([]BlockID, 0, n+len(names))
	for i := range n {
		if !validShuffle(uint64(shuffles[i]), maps[i], uint64(starts[i]), uint64(ends[i])) {
			return nil, fmt.Errorf("blocks: entry %d names no block: shuffle %d, map %d, reduces %d to %d",
				i, shuffles[i], maps[i], starts[i], ends[i])
		}
		ids = append(ids, BlockID{Shuffle: shuffles[i], Map: maps[i], ReduceStart: starts[i], ReduceEnd: ends[i]})
	}
	for i, name := range names {
		if err := checkName(name); err != nil {
			return nil, fmt.Errorf("blocks: name %d: %w", i, err)
		}
		ids = append(ids, BlockID{Name: name})
	}
	return ids, nil
}

// BlocksToProto is the message for ids, which keep their order only if the shuffle blocks come first: everything else is an error.
func BlocksToProto(ids []BlockID) (*blockpb.Blocks, error) {
	n := 0
	for n < len(ids) && ids[n].IsShuffle() {
		n++
	}
	pb := &blockpb.Blocks{}
	if n > 0 {
		numbers := make([]uint32, 3*n)
		pb.ShuffleId, pb.ReduceStart, pb.ReduceEnd = numbers[:n:n], numbers[n:2*n:2*n], numbers[2*n:]
		pb.MapId = make([]uint64, n)
	}
	for i, id := range ids[:n] {
		pb.ShuffleId[i], pb.MapId[i], pb.ReduceStart[i], pb.ReduceEnd[i] = id.Shuffle, id.Map, id.ReduceStart, id.ReduceEnd
	}
	if n < len(ids) {
		pb.Name = make([]string, 0, len(ids)-n)
	}
	for _, id := range ids[n:] {
		if id.IsShuffle() {
			return nil, errors.New("blocks: a shuffle block behind a named one; a request lists the shuffle blocks first")
		}
		pb.Name = append(pb.Name, id.Name)
	}
	return pb, nil
}
