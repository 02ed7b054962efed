package weft.bench;

import java.io.File;
import java.io.IOException;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkEnv;
import org.apache.spark.api.java.JavaSparkContext;

/**
 * Measures {@code BlockStoreClient.fetchBlocks} and {@code BlockTransferService.fetchBlockSync} between two executors: stock Netty
 * beside weft, by the same caller, in the same JVMs, on the same map outputs and the same blocks in memory. It measures only; {@code weft bench fetch} starts it, says when a round begins, and draws the
 * conclusions.
 *
 * <p>Usage: {@code FetchBench CONTROL_DIR ROUNDS MILLIS_PER_ROW BLOCK_BYTES...}. Before round N it waits for the file {@code
 * round-N} in the control directory and writes {@code result-N.json} (one JSON record a line) when the round is over; {@code
 * warm} tells that the executors, their map outputs and the compiled code are ready for the first.
 */
public final class FetchBench {
  static final int BLOCKS = 100;
  static final int[] REQUEST_BLOCKS = {1, BLOCKS};

  private FetchBench() {}

  public static void main(String[] args) throws Exception {
    String dir = args[0];
    int rounds = Integer.parseInt(args[1]);
    int millis = Integer.parseInt(args[2]);
    int[] sizes = Arrays.stream(args).skip(3).mapToInt(Integer::parseInt).toArray();
    try (JavaSparkContext sc = new JavaSparkContext(new SparkConf().setAppName("fetch-bench"))) {
      List<Owner> owners = sc.parallelize(Arrays.asList(0, 1), 2).map(i -> prepare(Paths.get(dir), sizes)).collect();
      if (owners.get(0).executor.equals(owners.get(1).executor)) {
        throw new IllegalStateException("both tasks ran on executor " + owners.get(0).executor + ": two executors are needed");
      }
      sc.parallelize(Collections.singletonList(0), 1)
          .map(i -> measure(Paths.get(dir), rounds, millis, sizes, other(owners)))
          .collect();
    }
  }

  /** The executor that this task does not run on. */
  private static Owner other(List<Owner> owners) {
    return owners.get(0).executor.equals(SparkEnv.get().executorId()) ? owners.get(1) : owners.get(0);
  }

  /** Writes the map outputs of this executor, and its blocks in memory, and waits for the other task so that each executor runs one. */
  private static Owner prepare(Path control, int[] sizes) throws IOException, InterruptedException {
    String executor = SparkEnv.get().executorId();
    Files.createFile(control.resolve("prepare-" + executor));
    while (control.toFile().list((d, n) -> n.startsWith("prepare-")).length < 2) {
      Thread.sleep(20);
    }
    Owner o = new Owner();
    o.executor = executor;
    o.host = SparkEnv.get().blockManager().blockManagerId().host();
    o.port = SparkEnv.get().blockManager().blockManagerId().port();
    for (int size : sizes) {
      BenchMapOutput.write(shuffleId(size), size, BLOCKS);
      MemoryBlock.put(executor, size);
    }
    return o;
  }

  static int shuffleId(int blockBytes) {
    return 1_000_000 + Integer.numberOfTrailingZeros(Integer.highestOneBit(blockBytes));
  }

  private static int measure(Path control, int rounds, int millis, int[] sizes, Owner owner) throws Exception {
    FetchLoop[] loops = {FetchLoop.netty(owner), FetchLoop.weft(owner)};
    rows(loops, 0, sizes, millis); // until the compiler has seen every path; not recorded
    Files.createFile(control.resolve("warm"));
    for (int round = 1; round <= rounds; round++) {
      Path start = control.resolve("round-" + round);
      while (!Files.exists(start)) {
        Thread.sleep(20);
      }
      List<String> records = rows(loops, round, sizes, millis);
      Path part = control.resolve("result-" + round + ".part");
      Files.write(part, records, StandardCharsets.UTF_8);
      Files.move(part, control.resolve("result-" + round + ".json"), StandardCopyOption.ATOMIC_MOVE);
    }
    return rounds;
  }

  private static List<String> rows(FetchLoop[] loops, int round, int[] sizes, int millis) throws InterruptedException {
    List<String> records = new ArrayList<>();
    for (int size : sizes) {
      for (int request : REQUEST_BLOCKS) {
        for (int k = 0; k < loops.length; k++) { // who goes first alternates
          records.add(loops[(k + round) % loops.length].mapOutputs(size, request, millis));
        }
      }
      for (int k = 0; k < loops.length; k++) {
        records.add(loops[(k + round) % loops.length].memory(size, millis));
      }
    }
    return records;
  }

  /** Where the blocks are. */
  static final class Owner implements Serializable {
    private static final long serialVersionUID = 1;
    String executor;
    String host;
    int port;
  }

  static File absent(File f) {
    if (f.exists()) {
      throw new IllegalStateException(f + " exists already");
    }
    return f;
  }
}
