package org.apache.spark.shuffle.weft;

import io.netty.buffer.ByteBuf;
import io.netty.util.ReferenceCountUtil;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.storage.BlockId;
import org.apache.spark.storage.BlockInfo;
import org.apache.spark.storage.BlockManager;
import org.apache.spark.storage.memory.MemoryStore;
import scala.Option;

/**
 * Small serialized blocks in this executor's memory, copied without ever waiting for a block's lock ({@code
 * BlockInfoManager.lockForReading} with {@code blocking = false}): who writes a block may be waiting for one that weft fetches.
 */
final class MemoryBlocks {
  private MemoryBlocks() {}

  /** The block's bytes; null: it is not there, locked, longer than {@code most} bytes, not serialized, or not in memory. */
  static ByteBuffer tryCopy(BlockManager blocks, String name, int most) {
    try {
      BlockId id = BlockId.apply(name);
      Option<BlockInfo> locked = blocks.blockInfoManager().lockForReading(id, false); // Spark's shuffle blocks are none of its
      if (locked.isEmpty()) {
        return null;
      }
      try {
        MemoryStore memory = blocks.memoryStore();
        boolean serialized = !locked.get().level().deserialized();
        return serialized && memory.contains(id) && memory.getSize(id) <= most ? copy(blocks.getLocalBlockData(id)) : null;
      } finally {
        blocks.releaseLock(id, Option.empty());
      }
    } catch (Exception e) { // Scala declares none
      return null; // whoever opens the block meets it again, and says so
    }
  }

  /** Takes the buffer's reference over. */
  private static ByteBuffer copy(ManagedBuffer buffer) throws IOException {
    try {
      ByteBuffer copy = ByteBuffer.allocate((int) buffer.size());
      LocalBlocks.copy(buffer, copy, part -> {});
      copy.flip();
      return copy;
    } finally {
      buffer.release();
    }
  }
}
