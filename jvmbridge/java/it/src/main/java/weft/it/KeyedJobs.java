package weft.it;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaSparkContext;
import scala.Tuple2;

/** The shuffles of everyday Spark, over keyed records that the map tasks make. */
final class KeyedJobs {
  private KeyedJobs() {}

  /** All values of each key in one place, once combined in the heap and once not. */
  static Result groupByKey(JavaSparkContext sc, Arguments args) {
    JavaPairRDD<Long, String> pairs = pairs(sc, args, args.get("keys", 2000));
    return digest(
        pairs
            .groupByKey(args.get("reduces", 16))
            .mapValues(
                values -> {
                  List<String> sorted = new ArrayList<>();
                  values.forEach(sorted::add);
                  Collections.sort(sorted);
                  return String.join(" ", sorted);
                }),
        false);
  }

  /** A range-partitioned sort; the order is part of the result. */
  static Result sortByKey(JavaSparkContext sc, Arguments args) {
    return digest(pairs(sc, args, Integer.MAX_VALUE).sortByKey(true, args.get("reduces", 8)), true);
  }

  /** Each record with every other of its key. Both inputs are shuffled, so a reduce task reads two shuffles at once. */
  static Result join(JavaSparkContext sc, Arguments args) {
    int keys = args.get("keys", 20000);
    JavaPairRDD<Long, String> left = pairs(sc, args, keys);
    JavaPairRDD<Long, String> right = left.mapValues(v -> new StringBuilder(v).reverse().toString());
    return digest(left.join(right, args.get("reduces", 8)).mapValues(t -> t._1 + " " + t._2), false);
  }

  /** Random keys below {@code keys} with text values. */
  private static JavaPairRDD<Long, String> pairs(JavaSparkContext sc, Arguments args, int keys) {
    int maps = args.get("maps", 8);
    int records = args.get("records", 10000);
    int bytes = args.get("bytes", 64);
    List<Integer> seeds = IntStream.range(0, maps).boxed().collect(Collectors.toList());
    return sc.parallelize(seeds, maps)
        .flatMapToPair(
            seed -> {
              SplittableRandom random = new SplittableRandom(seed);
              return IntStream.range(0, records)
                  .mapToObj(i -> new Tuple2<>((long) random.nextInt(keys), text(seed * (long) records + i, bytes)))
                  .iterator();
            });
  }

  /** At least {@code bytes} characters that name the record. */
  private static String text(long record, int bytes) {
    StringBuilder text = new StringBuilder().append(record);
    SplittableRandom random = new SplittableRandom(record);
    while (text.length() < bytes) {
      text.append(Long.toString(random.nextLong(), 36));
    }
    return text.toString();
  }

  private static Result digest(JavaPairRDD<Long, String> records, boolean sorted) {
    return Digest.combine(
        records
            .mapPartitions(
                it -> {
                  Digest digest = new Digest();
                  while (it.hasNext()) {
                    Tuple2<Long, String> record = it.next();
                    String text = record._1 + " " + record._2;
                    if (sorted) {
                      digest.addSorted(record._1, text);
                    } else {
                      digest.add(text);
                    }
                  }
                  return Collections.singletonList(digest).iterator();
                })
            .collect());
  }
}
