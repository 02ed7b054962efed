package org.apache.spark.shuffle.weft;

import io.netty.util.concurrent.DefaultThreadFactory;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * The threads for what may wait; separate, so that one kind of waiting does not hold up another. They end when idle, and only
 * then: when Spark stops, its own client must still be asked for what weft does not deliver any more, since who waits for a block
 * is told of its failure there.
 */
final class Workers {
  /** Copies blocks for peers. */
  final ThreadPoolExecutor upcalls = pool("weft-upcall", 4);

  /** Calls Spark's own client, which may wait minutes for a dead host. */
  final ThreadPoolExecutor stock = pool("weft-netty", 32);

  /** Writes blocks into files. */
  final ThreadPoolExecutor downloads = pool("weft-download", 4);

  /** Asks the driver. */
  final ThreadPoolExecutor directory = pool("weft-directory", 4);

  private static ThreadPoolExecutor pool(String name, int threads) {
    ThreadPoolExecutor pool =
        new ThreadPoolExecutor(
            threads,
            threads,
            30,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            new DefaultThreadFactory(name, true));
    pool.allowCoreThreadTimeOut(true);
    return pool;
  }
}
