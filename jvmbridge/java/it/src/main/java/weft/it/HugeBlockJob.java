package weft.it;

import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Collections;
import java.util.Iterator;
import java.util.stream.IntStream;
import org.apache.spark.HashPartitioner;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import scala.Tuple2;

/**
 * One shuffle block, written on one host and read on another. Neither executor holds more of it than a record. Tests stop it between
 * its stages ({@code mapped}, {@code go}).
 */
final class HugeBlockJob {
  private static final int RECORD = 1 << 20;

  private HugeBlockJob() {}

  static Result run(JavaSparkContext sc, Arguments args, int mib) {
    int records = args.get("mib", mib);
    JavaRDD<String> pinned = Pinned.twoHosts(sc);
    JavaPairRDD<Integer, byte[]> shuffled =
        pinned
            .mapPartitionsWithIndex((partition, it) -> partition == 0 ? records(records) : Collections.emptyIterator(), true)
            .mapToPair(record -> new Tuple2<>(1, record))
            .partitionBy(new HashPartitioner(2));
    shuffled.collectPartitions(new int[] {0}); // it is empty, and reading it runs the map stage alone
    args.markers().pause("mapped", "go");
    return Digest.combine(shuffled.zipPartitions(pinned, (it, where) -> digest(it)).collect());
  }

  /** Records that differ in a counter; no codec's window spans one, so they do not shrink. */
  private static Iterator<byte[]> records(int count) {
    byte[] content = Payload.bytes(RECORD, 0);
    return IntStream.range(0, count)
        .mapToObj(
            i -> {
              byte[] record = Arrays.copyOf(content, content.length);
              ByteBuffer.wrap(record).putInt(i);
              return record;
            })
        .iterator();
  }

  private static Iterator<Digest> digest(Iterator<Tuple2<Integer, byte[]>> records) {
    Digest digest = new Digest();
    while (records.hasNext()) {
      digest.add(records.next()._2);
    }
    return Collections.singletonList(digest).iterator();
  }
}
