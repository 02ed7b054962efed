package org.apache.spark.shuffle.weft;

import org.apache.spark.SparkConf;
import org.apache.spark.shuffle.api.ShuffleDriverComponents;
import org.apache.spark.shuffle.sort.io.LocalDiskShuffleDataIO;
import org.apache.spark.shuffle.sort.io.LocalDiskShuffleDriverComponents;

/**
 * Spark's own way of writing map outputs, and one word more to the driver: they do not go with their executors. {@link Outliving} sets it.
 */
public class WeftShuffleDataIO extends LocalDiskShuffleDataIO {
  public WeftShuffleDataIO(SparkConf conf) {
    super(conf);
  }

  @Override
  public ShuffleDriverComponents driver() {
    return new Reliable();
  }

  private static final class Reliable extends LocalDiskShuffleDriverComponents {
    /** From Spark 3.5 on (SPARK-42689). */
    @Override
    public boolean supportsReliableStorage() {
      return true;
    }
  }
}
