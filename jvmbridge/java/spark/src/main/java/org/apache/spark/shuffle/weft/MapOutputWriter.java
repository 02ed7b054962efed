package org.apache.spark.shuffle.weft;

import java.io.IOException;
import org.apache.spark.scheduler.MapStatus;
import org.apache.spark.shuffle.ShuffleWriter;
import scala.Option;
import scala.Product2;
import scala.collection.Iterator;

/** A stock writer that tells when its map output is in place. */
final class MapOutputWriter<K, V> extends ShuffleWriter<K, V> {
  private final ShuffleWriter<K, V> stock;
  private final Runnable committed;

  /**
   * @param committed must not throw
   */
  MapOutputWriter(ShuffleWriter<K, V> stock, Runnable committed) {
    this.stock = stock;
    this.committed = committed;
  }

  @Override
  public void write(Iterator<Product2<K, V>> records) throws IOException {
    stock.write(records);
  }

  @Override
  public Option<MapStatus> stop(boolean success) {
    Option<MapStatus> status = stock.stop(success);
    if (success && status.isDefined()) {
      committed.run();
    }
    return status;
  }

  /** From Spark 3.2 on (SPARK-33701). */
  @Override
  public long[] getPartitionLengths() {
    return stock.getPartitionLengths();
  }
}
