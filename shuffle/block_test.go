package shuffle

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"weft/internal/pb/blockpb"
)

func TestParseBlockID(t *testing.T) {
	shuffle := map[string]BlockID{
		"shuffle_0_0_0":     {ReduceEnd: 1},
		"shuffle_5_63_9":    {Shuffle: 5, Map: 63, ReduceStart: 9, ReduceEnd: 10},
		"shuffle_2_50_0_20": {Shuffle: 2, Map: 50, ReduceEnd: 20},
		"shuffle_2147483647_9223372036854775807_2147483646": {
			Shuffle: MaxShuffleID, Map: MaxMapID, ReduceStart: MaxReduceID - 1, ReduceEnd: MaxReduceID,
		},
	}
	for name, want := range shuffle {
		got, err := ParseBlockID(name)
		if err != nil || got != want || !got.IsShuffle() || got.String() != name {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	if got, err := ParseBlockID("shuffle_5_63_9_10"); err != nil || got != shuffle["shuffle_5_63_9"] {
		t.Errorf("a range of one reduce is the same block: %+v, %v", got, err)
	}

	names := []string{
		"rdd_1_2", "broadcast_0_piece0", "taskresult_7", "test_0weight1", "shuffle", "shuffle_", "shuffle_1", "shuffle_1_2", "shuffle_1_2_",
		"shuffle_1_2_3_", "shuffle_1_2_3_4_5", "shuffle_1_2_4_4", "shuffle_1_2_5_4", "shuffle_01_2_3", "shuffle_+1_2_3", "shuffle_1_-2_3",
		"shuffle_1_2_3.data", "shuffle_1_2_0.index", "shuffle_2147483648_0_0", "shuffle_0_9223372036854775808_0", "shuffle_0_0_2147483647",
		"shuffle_0_18446744073709551616_0", "shufflePush_0_0_0_0", "shuffleChunk_0_0_0_0", "shuffle_1_2_3\x00", " shuffle_1_2_3",
	}
	for _, name := range names {
		got, err := ParseBlockID(name)
		if err != nil || got != (BlockID{Name: name}) || got.IsShuffle() || got.String() != name {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	}

	for _, name := range []string{"", strings.Repeat("a", MaxNameLength+1)} {
		if got, err := ParseBlockID(name); err == nil {
			t.Errorf("a name of %d bytes was taken: %+v", len(name), got)
		}
	}
}

func FuzzParseBlockID(f *testing.F) {
	for _, name := range []string{
		"shuffle_0_1_2", "shuffle_0_1_2_9", "shuffle_0_1_2_2", "rdd_0_0", "shuffle_0_1_2.data", "shuffle_4294967296_1_2",
		"shuffle_0_1_4294967295", "shuffle_00_1_2", "shuffle_0_1_2_3_4", "",
	} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		id, err := ParseBlockID(name)
		if err != nil {
			return
		}
		again, err := ParseBlockID(id.String())
		if err != nil || again != id {
			t.Fatalf("%q is %+v, which is written %q and read as %+v (%v)", name, id, id, again, err)
		}
		if !id.IsShuffle() && id.String() != name {
			t.Fatalf("%q became %q", name, id)
		}
		pb, err := BlocksToProto([]BlockID{id})
		if err != nil {
			t.Fatal(err)
		}
		if ids, err := BlocksFromProto(pb); err != nil || len(ids) != 1 || ids[0] != id {
			t.Fatalf("%+v over the wire: %+v, %v", id, ids, err)
		}
	})
}

// drawBlocks draws blocks in the order of a request.
func drawBlocks(t *rapid.T) []BlockID {
	shuffles := rapid.SliceOf(rapid.Custom(func(t *rapid.T) BlockID {
		start := rapid.Uint32Range(0, MaxReduceID-1).Draw(t, "start")
		return BlockID{
			Shuffle:     rapid.Uint32Range(0, MaxShuffleID).Draw(t, "shuffle"),
			Map:         rapid.Uint64Range(0, MaxMapID).Draw(t, "map"),
			ReduceStart: start,
			ReduceEnd:   rapid.Uint32Range(start+1, MaxReduceID).Draw(t, "end"),
		}
	})).Draw(t, "shuffle blocks")
	names := rapid.SliceOf(rapid.StringN(1, 20, MaxNameLength)).Draw(t, "names")
	for _, name := range names {
		shuffles = append(shuffles, BlockID{Name: name})
	}
	return shuffles
}

func TestBlocksOverTheWire(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := drawBlocks(t)
		pb, err := BlocksToProto(ids)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := proto.Marshal(pb)
		if err != nil {
			t.Fatal(err)
		}
		var read blockpb.Blocks
		if err := proto.Unmarshal(raw, &read); err != nil {
			t.Fatal(err)
		}
		got, err := BlocksFromProto(&read)
		if err != nil || len(got) != len(ids) {
			t.Fatalf("%d blocks became %d: %v", len(ids), len(got), err)
		}
		for i := range ids {
			if got[i] != ids[i] {
				t.Fatalf("block %d: %+v became %+v", i, ids[i], got[i])
			}
		}
	})
}

func TestBlocksFromProtoRefuses(t *testing.T) {
	one := func() *blockpb.Blocks {
		return &blockpb.Blocks{ShuffleId: []uint32{1}, MapId: []uint64{2}, ReduceStart: []uint32{3}, ReduceEnd: []uint32{4}}
	}
	tests := map[string]func(*blockpb.Blocks){
		"no end":           func(b *blockpb.Blocks) { b.ReduceEnd = nil },
		"two maps":         func(b *blockpb.Blocks) { b.MapId = []uint64{1, 2} },
		"empty range":      func(b *blockpb.Blocks) { b.ReduceEnd[0] = 3 },
		"range backwards":  func(b *blockpb.Blocks) { b.ReduceEnd[0] = 2 },
		"end too large":    func(b *blockpb.Blocks) { b.ReduceEnd[0] = 1 << 31 },
		"shuffle negative": func(b *blockpb.Blocks) { b.ShuffleId[0] = 1 << 31 },
		"map negative":     func(b *blockpb.Blocks) { b.MapId[0] = 1 << 63 },
		"empty name":       func(b *blockpb.Blocks) { b.Name = []string{"rdd_0_0", ""} },
		"long name":        func(b *blockpb.Blocks) { b.Name = []string{strings.Repeat("x", MaxNameLength+1)} },
		"too many":         func(b *blockpb.Blocks) { b.Name = make([]string, MaxBlocks) },
	}
	if _, err := BlocksFromProto(one()); err != nil {
		t.Fatal(err)
	}
	for name, breakIt := range tests {
		t.Run(name, func(t *testing.T) {
			pb := one()
			breakIt(pb)
			if ids, err := BlocksFromProto(pb); err == nil {
				t.Errorf("taken: %+v", ids)
			}
		})
	}
}

func TestBlocksToProtoKeepsTheOrder(t *testing.T) {
	if _, err := BlocksToProto([]BlockID{{Name: "rdd_0_0"}, {ReduceEnd: 1}}); err == nil {
		t.Error("a shuffle block behind a named one cannot be written")
	}
}

func TestBlocksAllocateOnceForAll(t *testing.T) {
	ids := make([]BlockID, 1000)
	for i := range ids {
		ids[i] = BlockID{Shuffle: 1, Map: uint64(i), ReduceEnd: 1}
	}
	pb, err := BlocksToProto(ids)
	if err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = BlocksFromProto(pb) }); n > 1 {
		t.Errorf("reading allocates %v times for 1000 blocks", n)
	}
	if n := testing.AllocsPerRun(10, func() { _, _ = BlocksToProto(ids) }); n > 3 {
		t.Errorf("writing allocates %v times for 1000 blocks", n)
	}
}
