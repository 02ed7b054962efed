package weft.it;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.spark.api.java.JavaPairRDD;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import scala.Tuple2;

/** The classic jobs, over the Go files of a directory tree that every host sees. */
final class TextJobs {
  private static final int PARTITIONS = 16;

  private TextJobs() {}

  /** How often each word occurs, sorted by word. */
  static Result wordCount(JavaSparkContext sc, Arguments args) {
    return digest(
        lines(sc, args.input())
            .flatMap(line -> words(line._2))
            .mapToPair(word -> new Tuple2<>(word, 1L))
            .reduceByKey(Long::sum, PARTITIONS)
            .sortByKey(true, PARTITIONS));
  }

  /** All lines with their directories, sorted by line. */
  static Result sort(JavaSparkContext sc, Arguments args) {
    return digest(lines(sc, args.input()).mapToPair(line -> new Tuple2<>(line._2, line._1)).sortByKey(true, PARTITIONS));
  }

  /** For each two directories the number of lines that occur in both, sorted; short lines and comments do not count. */
  static Result selfJoin(JavaSparkContext sc, Arguments args) {
    JavaPairRDD<String, String> places =
        lines(sc, args.input())
            .mapToPair(line -> new Tuple2<>(line._2.trim(), line._1))
            .filter(t -> t._1.length() >= 24 && !t._1.startsWith("//"))
            .distinct(PARTITIONS);
    return digest(
        places
            .join(places, PARTITIONS)
            .filter(t -> t._2._1.compareTo(t._2._2) < 0)
            .mapToPair(t -> new Tuple2<>(t._2._1 + " " + t._2._2, 1L))
            .reduceByKey(Long::sum, PARTITIONS)
            .sortByKey(true, PARTITIONS));
  }

  private static Iterator<String> words(String line) {
    List<String> words = new ArrayList<>();
    for (int start = 0, end = 0; end <= line.length(); end++) {
      if (end == line.length() || !Character.isLetterOrDigit(line.charAt(end))) {
        if (end > start) {
          words.add(line.substring(start, end));
        }
        start = end + 1;
      }
    }
    return words.iterator();
  }

  /** Directory and text of every line, the files spread over partitions of equal size. */
  private static JavaRDD<Tuple2<String, String>> lines(JavaSparkContext sc, Path root) {
    List<List<String>> parts = new ArrayList<>();
    long[] sizes = new long[PARTITIONS];
    for (int i = 0; i < PARTITIONS; i++) {
      parts.add(new ArrayList<>());
    }
    for (Path file : files(root)) {
      int smallest = 0;
      for (int i = 1; i < PARTITIONS; i++) {
        smallest = sizes[i] < sizes[smallest] ? i : smallest;
      }
      parts.get(smallest).add(file.toString());
      sizes[smallest] += file.toFile().length();
    }
    return sc.parallelize(parts, PARTITIONS).flatMap(List::iterator).flatMap(TextJobs::read);
  }

  private static List<Path> files(Path root) {
    try (Stream<Path> tree = Files.walk(root)) {
      return tree.filter(p -> p.toString().endsWith(".go") && Files.isRegularFile(p)).sorted().collect(Collectors.toList());
    } catch (IOException e) {
      throw new IllegalStateException("cannot list " + root + ": " + e, e);
    }
  }

  private static Iterator<Tuple2<String, String>> read(String file) throws IOException {
    Path path = Paths.get(file);
    String directory = path.getParent().toString();
    String text = new String(Files.readAllBytes(path), StandardCharsets.UTF_8);
    return Stream.of(text.split("\n")).map(line -> new Tuple2<>(directory, line)).iterator();
  }

  private static <V> Result digest(JavaPairRDD<String, V> sorted) {
    return Digest.combine(
        sorted
            .mapPartitions(
                it -> {
                  Digest digest = new Digest();
                  it.forEachRemaining(t -> digest.addSorted(t._1, t._1 + " " + t._2));
                  return Collections.singletonList(digest).iterator();
                })
            .collect());
  }
}
