package org.apache.spark.shuffle.weft;

import io.netty.util.concurrent.DefaultThreadFactory;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/** The threads for what may wait; separate, so that one kind of waiting does not hold up another. They end when idle. */
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

  /** What runs goes on; what waits is dropped. */
  void stop() {
    upcalls.shutdown();
    stock.shutdown();
    downloads.shutdown();
    directory.shutdown();
  }
}
