package org.apache.spark.shuffle.weft;

import org.apache.spark.SparkConf;
import org.apache.spark.SparkEnv;
import org.apache.spark.TaskContext;
import org.apache.spark.shuffle.BaseShuffleHandle;
import org.apache.spark.shuffle.ShuffleHandle;
import org.apache.spark.shuffle.ShuffleWriteMetricsReporter;
import org.apache.spark.shuffle.ShuffleWriter;
import org.apache.spark.shuffle.sort.SortShuffleManager;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The one thing to configure: {@code spark.shuffle.manager}. Writes and reads as Spark's own sort shuffle; tells the daemon of
 * each committed map output, and has the block transfer service replaced when Spark is far enough up for that.
 */
public class WeftShuffleManager extends SortShuffleManager {
  private static final Logger LOG = LoggerFactory.getLogger(WeftShuffleManager.class);

  private volatile WeftRuntime runtime;

  public WeftShuffleManager(SparkConf conf) {
    super(conf);
    Outliving.promise(conf);
    if (SparkEnv.get() != null) {
      Installer.install(SparkEnv.get());
    } else {
      // Up to Spark 3.5 the shuffle manager is made before SparkEnv; the next place to hook in is a plugin (SPARK-45762).
      WeftPlugin.addTo(conf);
    }
  }

  @Override
  public <K, V> ShuffleWriter<K, V> getWriter(
      ShuffleHandle handle, long mapId, TaskContext context, ShuffleWriteMetricsReporter metrics) {
    ShuffleWriter<K, V> stock = super.getWriter(handle, mapId, context, metrics);
    WeftRuntime weft = runtime();
    if (weft == null) {
      return stock;
    }
    int partitions = ((BaseShuffleHandle<?, ?, ?>) handle).dependency().partitioner().numPartitions();
    return new MapOutputWriter<>(
        stock, () -> guarded(() -> weft.committed(handle.shuffleId(), mapId, partitions)));
  }

  @Override
  public boolean unregisterShuffle(int shuffleId) {
    WeftRuntime weft = runtime();
    if (weft != null) {
      guarded(() -> weft.unregister(shuffleId));
    }
    return super.unregisterShuffle(shuffleId);
  }

  @Override
  public void stop() {
    WeftRuntime weft = runtime();
    if (weft != null) {
      guarded(weft::stop);
    }
    super.stop();
  }

  /**
   * What this JVM's remote blocks came by so far, as the line that it logs at its end; empty where weft takes no part. For an application
   * that wants the figures of its executors, whose last lines are nowhere on a standalone cluster: Workers stop reading before they end them.
   */
  public String figures() {
    WeftRuntime weft = runtime();
    return weft == null ? "" : weft.figures();
  }

  private WeftRuntime runtime() {
    WeftRuntime known = runtime;
    if (known == null) {
      known = Installer.of(SparkEnv.get());
      runtime = known;
    }
    return known;
  }

  /** A map output that the daemon was not told of is asked for by name; nothing of ours may fail a task. */
  private static void guarded(Runnable call) {
    try {
      call.run();
    } catch (RuntimeException | LinkageError e) { // also a member that this Spark lacks
      LOG.warn("weft: {}", e.getMessage(), e);
    }
  }
}
