package weft.bridge;

import static org.junit.jupiter.api.Assertions.assertEquals;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import weft.proto.BlockProto.Blocks;

class BlockNamesTest {
  @Test
  void shuffleBlocksAreNumbers() {
    Blocks one = new BlockNames(new String[] {"shuffle_2147483647_99999999999_0"}).wire();
    assertEquals(Integer.MAX_VALUE, one.getShuffleId(0));
    assertEquals(99999999999L, one.getMapId(0));
    assertEquals(0, one.getReduceStart(0));
    assertEquals(1, one.getReduceEnd(0));
    Blocks range = new BlockNames(new String[] {"shuffle_0_1_2_7"}).wire();
    assertEquals(2, range.getReduceStart(0));
    assertEquals(7, range.getReduceEnd(0));
    assertEquals(0, range.getNameCount());
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "shuffle_1_2", "shuffle_1_2_3_4_5", "shuffle_1_2_4_4", "shuffle_1_2_5_4", "shuffle_01_2_3", "shuffle_-1_2_3",
        "shuffle_1_2_", "shuffle__2_3", "shuffle_1_2_3x", "shuffle_4294967296_2_3", "shuffle_1_99999999999999999999_3",
        "shuffle_1_2_3.data", "shuffle_1_2_2147483647", "shuffleChunk_1_2_3_4", "test_3weightBytes1", "broadcast_0_piece1", ""
      })
  void everythingElseIsAName(String name) {
    Blocks blocks = new BlockNames(new String[] {name}).wire();
    assertEquals(0, blocks.getShuffleIdCount());
    assertEquals(name, blocks.getName(0));
  }

  @Test
  void theDaemonsNumbersLeadBack() {
    String[] names = {"rdd_0_0", "shuffle_0_0_0", "rdd_0_1", "shuffle_0_0_1"};
    BlockNames blocks = new BlockNames(names);
    String[] wire = {"shuffle_0_0_0", "shuffle_0_0_1", "rdd_0_0", "rdd_0_1"};
    for (int i = 0; i < wire.length; i++) {
      assertEquals(wire[i], blocks.name(blocks.fromWire(i)));
    }
  }
}
