package org.apache.spark.shuffle.weft;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Function;
import java.util.regex.Pattern;
import org.apache.spark.SparkConf;
import org.apache.spark.rpc.RpcEndpointRef;
import org.apache.spark.storage.BlockId;
import org.apache.spark.storage.BlockManagerId;
import org.apache.spark.storage.BlockManagerMaster;
import org.apache.spark.storage.BlockManagerMessages.BlockLocationsAndStatus;
import org.apache.spark.storage.StorageLevel;
import scala.Option;
import scala.collection.Iterator;
import scala.collection.Seq;

/**
 * Asks the driver where blocks are, as the class that it extends, but keeps the answer for BigDL's parameter blocks, which every
 * executor reads in every iteration and which stay where they are. See docs/design/0008-parameter-blocks.md. Thread-safe.
 */
final class ParameterLocations extends BlockManagerMaster {
  private static final String PREFIX = "test_";
  /** A slice of the weights as others read it, and as its executor keeps it for itself. */
  private static final String SHARED = "weightBytes";
  private static final String SLICE = "weights";
  private static final Pattern NAME =
      Pattern.compile(PREFIX + "\\d+(_\\d+gradientBytes|" + SHARED + ")\\d+");

  private final Function<BlockId, ?> local;
  private final Traffic traffic;
  private final ConcurrentMap<String, Option<BlockLocationsAndStatus>> kept = new ConcurrentHashMap<>();
  private final AtomicLong forgotten = new AtomicLong();
  private final ConcurrentMap<String, Object> own = new ConcurrentHashMap<>();

  /**
   * @param local what Spark has in this JVM for a block: equal as long as it is the same put
   */
  ParameterLocations(
      RpcEndpointRef driver,
      RpcEndpointRef driverHeartbeat,
      SparkConf conf,
      Function<BlockId, ?> local,
      Traffic traffic) {
    super(driver, driverHeartbeat, conf, false);
    this.local = local;
    local.apply(BlockId.apply(PREFIX + 0 + SLICE + 0)); // a member that this Spark lacks is missed here and not in a put
    this.traffic = traffic;
  }

  static boolean isParameter(String name) {
    return name.startsWith(PREFIX) && NAME.matcher(name).matches();
  }

  @Override
  public Option<BlockLocationsAndStatus> getLocationsAndStatus(BlockId block, String host) {
    String name = block.name();
    if (!isParameter(name)) {
      return super.getLocationsAndStatus(block, host);
    }
    Option<BlockLocationsAndStatus> known = kept.get(name);
    if (known != null) {
      traffic.lookedUpHere();
      return known;
    }
    return ask(block, host);
  }

  private Option<BlockLocationsAndStatus> ask(BlockId block, String host) {
    traffic.lookedUpAtDriver();
    long before = forgotten.get();
    Option<BlockLocationsAndStatus> answer = super.getLocationsAndStatus(block, host);
    if (isSettled(answer)) {
      kept.put(block.name(), answer);
      if (forgotten.get() != before) {
        kept.remove(block.name(), answer); // it may be older than what made the others be forgotten
      }
    }
    return answer;
  }

  /** Whether one executor has the block, in its memory: with several, Spark picks another one each time. */
  private static boolean isSettled(Option<BlockLocationsAndStatus> answer) {
    try {
      return answer.isDefined() && answer.get().localDirs().isEmpty() && executors(answer.get()).size() == 1;
    } catch (RuntimeException | LinkageError e) {
      return false; // an answer of another shape is Spark's alone to understand
    }
  }

  private static List<BlockManagerId> executors(BlockLocationsAndStatus answer) {
    List<BlockManagerId> all = new ArrayList<>();
    Iterator<?> each = ((Seq<?>) answer.productElement(0)).iterator(); // locations() has another signature in Scala 2.13
    while (each.hasNext()) {
      all.add((BlockManagerId) each.next());
    }
    return all;
  }

  /**
   * What this executor puts tells of what all do. After a failure BigDL lays out its parameters anew on all executors, under the
   * same names and maybe elsewhere: each puts its slice once more (not so that the driver hears of it), then caches its models.
   */
  @Override
  public boolean updateBlockInfo(
      BlockManagerId self, BlockId block, StorageLevel level, long memory, long disk) {
    String name = block.name();
    if (isParameter(name) && name.contains(SHARED)) {
      String slice = name.replace(SHARED, SLICE);
      own.put(slice, local.apply(BlockId.apply(slice)));
      forgetAll();
    } else if (block.isRDD() && isLaidOutAnew()) {
      forgetAll();
    }
    return super.updateBlockInfo(self, block, level, memory, disk);
  }

  private boolean isLaidOutAnew() {
    boolean anew = false;
    for (Map.Entry<String, Object> slice : own.entrySet()) {
      Object now = local.apply(BlockId.apply(slice.getKey()));
      anew |= !now.equals(slice.setValue(now));
    }
    return anew;
  }

  private void forgetAll() {
    forgotten.incrementAndGet();
    kept.clear();
  }

  /** A fetch of the block failed. */
  void forget(String name) {
    if (isParameter(name)) {
      forgotten.incrementAndGet();
      kept.remove(name);
    }
  }

  /**
   * Weft could not fetch a block from that executor, which may have been named long ago: asks the driver, as Spark would have done
   * at first. Null: the executor still has it, or it is no parameter block; else who has it now.
   *
   * @param host who asks
   * @throws IllegalStateException when nobody has the block any more
   */
  BlockManagerId moved(String name, String executor, String host) {
    if (!isParameter(name)) {
      return null;
    }
    forget(name);
    Option<BlockLocationsAndStatus> answer = ask(BlockId.apply(name), host);
    List<BlockManagerId> now = answer.isEmpty() ? new ArrayList<>() : executors(answer.get());
    if (now.isEmpty()) {
      throw new IllegalStateException("executor " + executor + " had " + name + ", and nobody has it now");
    }
    return now.stream().anyMatch(at -> at.executorId().equals(executor)) ? null : now.get(0);
  }
}
