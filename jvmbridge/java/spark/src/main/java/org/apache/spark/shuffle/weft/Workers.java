package org.apache.spark.shuffle.weft;

import io.netty.util.concurrent.DefaultThreadFactory;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;

/**
 * The threads for what may wait; separate, so that one kind of waiting does not hold up another. They end when idle, and only
 * then: when Spark stops, its own client must still be asked for what weft does not deliver any more, since who waits for a block
 * is told of its failure there.
 */
final class Workers {
  private static final long IDLE_S = 30;

  /** Copies blocks for peers. */
  final ThreadPoolExecutor upcalls = pool("weft-upcall", 4);

  /** Calls Spark's own client, which may wait minutes for a dead host. */
  final ThreadPoolExecutor stock = pool("weft-netty", 32);

  /** Writes blocks into files. */
  final ThreadPoolExecutor downloads = pool("weft-download", 4);

  /** Asks the driver. */
  final ThreadPoolExecutor directory = pool("weft-directory", 4);

  /** Tells when to ask again. Does nothing that waits. */
  final ScheduledThreadPoolExecutor again = new ScheduledThreadPoolExecutor(1, new DefaultThreadFactory("weft-again", true));

  Workers() {
    again.setKeepAliveTime(IDLE_S, TimeUnit.SECONDS);
    again.allowCoreThreadTimeOut(true);
  }

  private static ThreadPoolExecutor pool(String name, int threads) {
    ThreadPoolExecutor pool =
        new ThreadPoolExecutor(
            threads,
            threads,
            IDLE_S,
            TimeUnit.SECONDS,
            new LinkedBlockingQueue<>(),
            new DefaultThreadFactory(name, true));
    pool.allowCoreThreadTimeOut(true);
    return pool;
  }
}
