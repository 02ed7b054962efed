package weft.bench;

import java.io.Serializable;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaSparkContext;
import scala.Tuple2;

/** What a shuffle benchmark shuffles: random records that no codec can shrink, the same in every run. */
final class ShuffleInput implements Serializable {
  static final int NUMBER_BYTES = 4;
  static final int TERA_BYTES = 10;

  final int maps;
  final int reduces;
  final int records; // of each map task
  final int recordBytes;

  ShuffleInput(int maps, int reduces, int records, int recordBytes) {
    this.maps = maps;
    this.reduces = reduces;
    this.records = records;
    this.recordBytes = recordBytes;
  }

  /** Random numbers and values. */
  JavaPairRDD<Integer, byte[]> numbered(JavaSparkContext sc) {
    return make(sc, (i, random) -> new Tuple2<>(random.nextInt(Integer.MAX_VALUE), bytes(random, recordBytes - NUMBER_BYTES)));
  }

  /** Each map task's records go round the reduce tasks, so that there is a block for each. */
  JavaPairRDD<Integer, byte[]> dealt(JavaSparkContext sc) {
    return make(sc, (i, random) -> new Tuple2<>(i % reduces, bytes(random, recordBytes - NUMBER_BYTES)));
  }

  /** Random keys of 10 bytes and values. */
  JavaPairRDD<byte[], byte[]> tera(JavaSparkContext sc) {
    return make(sc, (i, random) -> new Tuple2<>(bytes(random, TERA_BYTES), bytes(random, recordBytes - TERA_BYTES)));
  }

  private interface Maker<K> extends Serializable {
    Tuple2<K, byte[]> make(int record, SplittableRandom random);
  }

  private <K> JavaPairRDD<K, byte[]> make(JavaSparkContext sc, Maker<K> maker) {
    List<Integer> seeds = IntStream.range(0, maps).boxed().collect(Collectors.toList());
    return sc.parallelize(seeds, maps)
        .flatMapToPair(
            seed -> {
              SplittableRandom random = new SplittableRandom(seed);
              return IntStream.range(0, records).mapToObj(i -> maker.make(i, random)).iterator();
            });
  }

  private static byte[] bytes(SplittableRandom random, int length) {
    byte[] out = new byte[length];
    for (int i = 0; i < length; i += Long.BYTES) {
      long word = random.nextLong();
      for (int k = i; k < Math.min(length, i + Long.BYTES); k++, word >>>= Byte.SIZE) {
        out[k] = (byte) word;
      }
    }
    return out;
  }
}
