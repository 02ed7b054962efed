package weft.it;

import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.apache.spark.storage.RDDInfo;
import org.apache.spark.storage.StorageLevel;

/** Jobs whose remote blocks are none of a shuffle: broadcasts, cached partitions, task results. */
final class BlockJobs {
  private BlockJobs() {}

  /** An array of the driver's, read on every executor. */
  static Result broadcast(JavaSparkContext sc, Arguments args) {
    Broadcast<byte[]> shared = sc.broadcast(Payload.bytes(args.get("bytes", 12 << 20), 0));
    Result result =
        Digest.combine(partitions(sc, 8).map(i -> digest(shared.value())).collect());
    shared.destroy();
    return result;
  }

  static Result cachedInMemory(JavaSparkContext sc, Arguments args) {
    return cached(sc, args, StorageLevel.MEMORY_ONLY());
  }

  static Result cachedOnDisk(JavaSparkContext sc, Arguments args) {
    return cached(sc, args, StorageLevel.DISK_ONLY());
  }

  /** Each of the cached partitions meets each other in a task of its own, so half of the reads cross hosts. */
  private static Result cached(JavaSparkContext sc, Arguments args, StorageLevel level) {
    int bytes = args.get("bytes", 256 << 10);
    JavaRDD<byte[]> cached = partitions(sc, 8).map(i -> Payload.bytes(bytes, i)).persist(level);
    cached.count();
    return Digest.combine(
        cached
            .cartesian(cached)
            .map(
                pair -> {
                  Digest digest = new Digest();
                  digest.add(pair._1);
                  digest.add(pair._2);
                  return digest;
                })
            .collect());
  }

  /** A result too large for the task's message, which the driver fetches as a block. */
  static Result taskResult(JavaSparkContext sc, Arguments args) {
    int bytes = args.get("bytes", 60_000_000);
    List<byte[]> results = partitions(sc, 2).map(i -> Payload.bytes(i == 0 ? bytes : 8, i)).collect();
    return Digest.combine(results.stream().map(BlockJobs::digest).collect(Collectors.toList()));
  }

  /** Partitions that Spark stores on two executors each. */
  static Result replication(JavaSparkContext sc, Arguments args) {
    int bytes = args.get("bytes", 1 << 20);
    JavaRDD<byte[]> stored = partitions(sc, 8).map(i -> Payload.bytes(bytes, i)).persist(StorageLevel.MEMORY_ONLY_SER_2());
    Result result = Digest.combine(stored.map(BlockJobs::digest).collect());
    long size = Arrays.stream(sc.sc().getRDDStorageInfo()).filter(i -> i.id() == stored.id()).mapToLong(RDDInfo::memSize).sum();
    if (size < 2L * 8 * bytes) {
      throw new IllegalStateException("stored " + size + " bytes, less than two copies of 8 x " + bytes);
    }
    return result;
  }

  private static JavaRDD<Integer> partitions(JavaSparkContext sc, int count) {
    return sc.parallelize(IntStream.range(0, count).boxed().collect(Collectors.toList()), count);
  }

  private static Digest digest(byte[] record) {
    Digest digest = new Digest();
    digest.add(record);
    return digest;
  }
}
