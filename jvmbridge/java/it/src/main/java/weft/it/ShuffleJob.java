package weft.it;

import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.spark.HashPartitioner;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaSparkContext;
import scala.Tuple2;

/**
 * A shuffle whose every map output has a block of the same known size for every reducer. Tests stop it between its stages
 * ({@code mapped}, {@code go}) and after each reduce task's first records ({@code reducing}, {@code continue}).
 */
final class ShuffleJob {
  private ShuffleJob() {}

  static Result run(JavaSparkContext sc, Arguments args, int maps, int reduces, int records, int bytes) {
    int mapCount = args.get("maps", maps);
    int reduceCount = args.get("reduces", reduces);
    int perBlock = args.get("records", records);
    int size = args.get("bytes", bytes);
    int pauseAfter = args.get("pauseafter", 1);
    Markers markers = args.markers();

    List<Integer> inputs = IntStream.range(0, mapCount).boxed().collect(Collectors.toList());
    // One partition more than there are reducers: it stays empty, and reading it runs the map stage alone.
    JavaPairRDD<Integer, byte[]> shuffled =
        sc.parallelize(inputs, mapCount)
            .flatMapToPair(map -> block(map, reduceCount, perBlock, size))
            .partitionBy(new HashPartitioner(reduceCount + 1));
    shuffled.collectPartitions(new int[] {reduceCount});
    markers.pause("mapped", "go");
    return Digest.combine(shuffled.mapPartitions(it -> digest(it, markers, pauseAfter)).collect());
  }

  private static Iterator<Tuple2<Integer, byte[]>> block(int map, int reduces, int records, int size) {
    return IntStream.range(0, reduces * records)
        .mapToObj(i -> new Tuple2<>(i % reduces, Payload.bytes(size, ((long) map << 32) + i)))
        .iterator();
  }

  private static Iterator<Digest> digest(Iterator<Tuple2<Integer, byte[]>> records, Markers markers, int pauseAfter) {
    Digest digest = new Digest();
    for (int n = 1; records.hasNext(); n++) {
      digest.add(records.next()._2);
      if (n == pauseAfter) {
        markers.pause("reducing", "continue");
      }
    }
    return Collections.singletonList(digest).iterator();
  }
}
