package weft.bench;

import java.nio.ByteBuffer;
import java.util.Random;
import org.apache.spark.SparkEnv;
import org.apache.spark.storage.StorageLevel;
import org.apache.spark.storage.TestBlockId;
import org.apache.spark.util.io.ChunkedByteBuffer;
import scala.reflect.ClassTag;

/** A serialized block in an executor's memory, put there as BigDL puts its parameters. */
final class MemoryBlock {
  private MemoryBlock() {}

  static String name(String executor, int blockBytes) {
    return "test_weftbench_" + executor + "_" + blockBytes;
  }

  static void put(String executor, int blockBytes) {
    byte[] bytes = new byte[blockBytes];
    new Random(blockBytes).nextBytes(bytes);
    TestBlockId id = new TestBlockId(name(executor, blockBytes).substring("test_".length()));
    boolean there =
        SparkEnv.get()
            .blockManager()
            .putBytes(id, new ChunkedByteBuffer(ByteBuffer.wrap(bytes)), StorageLevel.MEMORY_ONLY_SER(), true, ClassTag.Byte());
    if (!there) {
      throw new IllegalStateException(id + " does not fit into the executor's memory");
    }
  }
}
