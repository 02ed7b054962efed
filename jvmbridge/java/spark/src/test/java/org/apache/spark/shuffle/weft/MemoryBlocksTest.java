package org.apache.spark.shuffle.weft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkContext;
import org.apache.spark.SparkEnv;
import org.apache.spark.storage.BlockManager;
import org.apache.spark.storage.StorageLevel;
import org.apache.spark.storage.TestBlockId;
import org.apache.spark.util.io.ChunkedByteBuffer;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import scala.Option;
import scala.reflect.ClassTag;

/** On the BlockManager of a real SparkContext. A test that would wait for a lock ends by its time-out. */
@Timeout(60)
class MemoryBlocksTest {
  private static SparkContext spark;
  private static BlockManager blocks;

  @BeforeAll
  static void start() {
    spark =
        new SparkContext(
            new SparkConf().setMaster("local[1]").setAppName("memory-blocks").set("spark.ui.enabled", "false").set("spark.driver.host", "localhost"));
    blocks = SparkEnv.get().blockManager();
  }

  @AfterAll
  static void stop() {
    spark.stop();
  }

  @Test
  void aSerializedBlockInMemoryIsCopiedAsItIsNow() {
    byte[] bytes = {1, 2, 3, 4};
    TestBlockId id = put("now", bytes, StorageLevel.MEMORY_ONLY_SER());
    ByteBuffer copy = MemoryBlocks.tryCopy(blocks, id.name(), 4);
    assertEquals(ByteBuffer.wrap(bytes), copy);
    bytes[0] = 9; // as BigDL does; the copy is not of the block any more
    assertEquals(1, copy.get(0));
    assertEquals(9, MemoryBlocks.tryCopy(blocks, id.name(), 4).get(0));
    assertNull(MemoryBlocks.tryCopy(blocks, id.name(), 3), "too long");
    blocks.removeBlock(id, false); // waits for locks that were not given back
    assertNull(MemoryBlocks.tryCopy(blocks, id.name(), 4), "gone");
  }

  @Test
  void aLockedBlockIsLeftToWhoMayWait() {
    TestBlockId id = put("locked", new byte[10], StorageLevel.MEMORY_ONLY_SER());
    assertTrue(blocks.blockInfoManager().lockForWriting(id, true).isDefined());
    assertNull(MemoryBlocks.tryCopy(blocks, id.name(), 100));
    blocks.releaseLock(id, Option.empty());
    assertNotNull(MemoryBlocks.tryCopy(blocks, id.name(), 100));
  }

  @Test
  void whatHasToBeReadOrSerializedFirstIsNotCopied() {
    TestBlockId onDisk = put("disk", new byte[10], StorageLevel.DISK_ONLY());
    assertNull(MemoryBlocks.tryCopy(blocks, onDisk.name(), 100));
    TestBlockId object = new TestBlockId("object");
    assertTrue(blocks.putSingle(object, "words", StorageLevel.MEMORY_ONLY(), false, ClassTag.Object()));
    assertNull(MemoryBlocks.tryCopy(blocks, object.name(), 1 << 20));
    assertNull(MemoryBlocks.tryCopy(blocks, "no such block", 100));
    assertNull(MemoryBlocks.tryCopy(blocks, "shuffle_0_0_0", 100));
  }

  private static TestBlockId put(String name, byte[] bytes, StorageLevel level) {
    TestBlockId id = new TestBlockId(name);
    assertTrue(blocks.putBytes(id, new ChunkedByteBuffer(ByteBuffer.wrap(bytes)), level, false, ClassTag.Byte()));
    return id;
  }
}
