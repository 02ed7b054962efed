package weft.bench;

import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.File;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.util.Random;
import org.apache.spark.SparkEnv;
import org.apache.spark.shuffle.IndexShuffleBlockResolver;
import scala.Option;

/** A map output of equal blocks, written where Spark's own writers would put it, so that both clients can fetch it. */
final class BenchMapOutput {
  static final long MAP_ID = 7;

  private BenchMapOutput() {}

  static void write(int shuffleId, int blockBytes, int blocks) throws IOException {
    IndexShuffleBlockResolver resolver = (IndexShuffleBlockResolver) SparkEnv.get().shuffleManager().shuffleBlockResolver();
    File data = FetchBench.absent(resolver.getDataFile(shuffleId, MAP_ID));
    File index = FetchBench.absent(resolver.getIndexFile(shuffleId, MAP_ID, Option.empty()));
    byte[] block = new byte[blockBytes];
    Random random = new Random(shuffleId);
    try (OutputStream out = new BufferedOutputStream(new FileOutputStream(data), 1 << 20)) {
      for (int i = 0; i < blocks; i++) {
        random.nextBytes(block);
        out.write(block);
      }
    }
    try (DataOutputStream out = new DataOutputStream(new BufferedOutputStream(new FileOutputStream(index)))) {
      for (int i = 0; i <= blocks; i++) {
        out.writeLong((long) i * blockBytes);
      }
    }
    Object runtime = Reflect.call(SparkEnv.get().blockManager().blockTransferService(), "runtime", new Class<?>[0]);
    Reflect.call(runtime, "committed", new Class<?>[] {int.class, long.class, int.class}, shuffleId, MAP_ID, blocks);
  }
}
