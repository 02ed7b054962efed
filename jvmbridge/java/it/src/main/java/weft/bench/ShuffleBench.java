package weft.bench;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.Iterator;
import java.util.Locale;
import java.util.function.Supplier;
import org.apache.spark.HashPartitioner;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import scala.Tuple2;

/**
 * One shuffle, on stock Spark or with weft: {@code weft bench shuffle} starts it and draws the conclusions.
 *
 * <p>Usage: {@code ShuffleBench JOB MAPS REDUCES RECORDS_PER_MAP RECORD_BYTES}. It makes the input, caches it in the executors, and runs the
 * job once to warm up. Then it prints {@code APP <id>} and {@code READY} and waits for a line; runs the job again, whose stages have the
 * job group {@code measured} in the event log; prints {@code RESULT <checksum> <records> <seconds>}, and waits for a line again before it ends.
 */
public final class ShuffleBench {
  private final JavaSparkContext sc;
  private final ShuffleInput size;

  private ShuffleBench(JavaSparkContext sc, ShuffleInput size) {
    this.sc = sc;
    this.size = size;
  }

  public static void main(String[] args) throws IOException {
    ShuffleInput size =
        new ShuffleInput(Integer.parseInt(args[1]), Integer.parseInt(args[2]), Integer.parseInt(args[3]), Integer.parseInt(args[4]));
    try (JavaSparkContext sc = new JavaSparkContext(new SparkConf().setAppName("shuffle-bench"))) {
      Supplier<Checksum> job = new ShuffleBench(sc, size).job(args[0]);
      BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
      job.get();
      System.out.println("APP " + sc.sc().applicationId() + "\nREADY");
      in.readLine();
      sc.setJobGroup("measured", args[0]);
      long start = System.nanoTime();
      Checksum sum = job.get();
      System.out.println(String.format(Locale.ROOT, "RESULT %s %.3f", sum, (System.nanoTime() - start) / 1e9));
      in.readLine();
    }
  }

  private Supplier<Checksum> job(String name) {
    switch (name) {
      case "groupby":
        return groupBy(cached(size.numbered(sc)));
      case "sortby":
        JavaPairRDD<Integer, byte[]> numbered = cached(size.numbered(sc));
        return () -> sum(numbered.sortByKey(true, size.reduces).mapPartitions(it -> numbers(it, true)));
      case "terasort":
        JavaPairRDD<byte[], byte[]> tera = cached(size.tera(sc));
        return () -> sum(tera.sortByKey(Checksum.ORDER, true, size.reduces).mapPartitions(ShuffleBench::tera));
      case "smallblocks":
        JavaPairRDD<Integer, byte[]> dealt = cached(size.dealt(sc));
        return () -> sum(dealt.partitionBy(new HashPartitioner(size.reduces)).mapPartitions(it -> numbers(it, false)));
      default:
        throw new IllegalArgumentException("unknown job " + name);
    }
  }

  private Supplier<Checksum> groupBy(JavaPairRDD<Integer, byte[]> input) {
    return () ->
        sum(
            input
                .groupByKey(size.reduces)
                .mapPartitions(
                    it -> {
                      Checksum c = new Checksum();
                      it.forEachRemaining(group -> group._2.forEach(value -> c.add(key(group._1), value)));
                      return Collections.singletonList(c).iterator();
                    }));
  }

  /** Later runs find the input in memory. */
  private static <K> JavaPairRDD<K, byte[]> cached(JavaPairRDD<K, byte[]> input) {
    JavaPairRDD<K, byte[]> cached = input.cache();
    cached.count();
    return cached;
  }

  /** The result's; what weft's and stock Spark's have to agree on. */
  private Checksum sum(JavaRDD<Checksum> partitions) {
    Checksum all = Checksum.combine(partitions.collect());
    if (all.count() != (long) size.maps * size.records) {
      throw new IllegalStateException("the result has " + all.count() + " records, the input " + (long) size.maps * size.records);
    }
    return all;
  }

  private static Iterator<Checksum> numbers(Iterator<Tuple2<Integer, byte[]>> records, boolean sorted) {
    Checksum c = new Checksum();
    while (records.hasNext()) {
      Tuple2<Integer, byte[]> r = records.next();
      if (sorted) {
        c.addSorted(key(r._1), r._2);
      } else {
        c.add(key(r._1), r._2);
      }
    }
    return Collections.singletonList(c).iterator();
  }

  private static Iterator<Checksum> tera(Iterator<Tuple2<byte[], byte[]>> records) {
    Checksum c = new Checksum();
    records.forEachRemaining(r -> c.addSorted(r._1, r._2));
    return Collections.singletonList(c).iterator();
  }

  /** The number's bytes, which sort as the number does: it is not negative. */
  private static byte[] key(int number) {
    return ByteBuffer.allocate(ShuffleInput.NUMBER_BYTES).putInt(number).array();
  }
}
