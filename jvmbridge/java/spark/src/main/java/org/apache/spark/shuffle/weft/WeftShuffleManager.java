package org.apache.spark.shuffle.weft;

import org.apache.spark.SparkConf;
import org.apache.spark.SparkEnv;
import org.apache.spark.TaskContext;
import org.apache.spark.shuffle.ShuffleHandle;
import org.apache.spark.shuffle.ShuffleWriteMetricsReporter;
import org.apache.spark.shuffle.ShuffleWriter;
import org.apache.spark.shuffle.sort.SortShuffleManager;

/**
 * The one thing to configure: {@code spark.shuffle.manager}. Writes and reads as Spark's own sort shuffle; tells the daemon of
 * each committed map output, and has the block transfer service replaced when Spark is far enough up for that.
 */
public class WeftShuffleManager extends SortShuffleManager {

  public WeftShuffleManager(SparkConf conf) {
    super(conf);
    if (SparkEnv.get() == null) {
      // Up to Spark 3.5 the shuffle manager is made first. The next place to hook in is a plugin (SPARK-45762 moved it, 4.0).
      WeftPlugin.addTo(conf);
    } else {
      WeftRuntime.install(SparkEnv.get());
    }
  }

  @Override
  public <K, V> ShuffleWriter<K, V> getWriter(
      ShuffleHandle handle, long mapId, TaskContext context, ShuffleWriteMetricsReporter metrics) {
    ShuffleWriter<K, V> writer = super.getWriter(handle, mapId, context, metrics);
    return writer;
  }

  @Override
  public boolean unregisterShuffle(int shuffleId) {
    return super.unregisterShuffle(shuffleId);
  }

  @Override
  public void stop() {
    WeftRuntime.stop(SparkEnv.get());
    super.stop();
  }
}
