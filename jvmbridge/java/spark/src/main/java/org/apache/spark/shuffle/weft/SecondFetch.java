package org.apache.spark.shuffle.weft;

import java.util.Collections;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.BiConsumer;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import weft.peers.Endpoint;
import weft.peers.PeerCache;
import weft.proto.BlockProto.Reason;

/**
 * Asks weft again for map outputs that Spark's own client failed to bring: where their executor has ended its daemon alone has them, and a
 * daemon that is restarted takes a moment. What weft cannot bring either fails as Spark's own client said. Thread-safe, never waits.
 */
final class SecondFetch {
  private static final Logger LOG = LoggerFactory.getLogger(SecondFetch.class);
  private static final long FIRST_PAUSE_MS = 100;
  private static final long MAX_PAUSE_MS = 2000;

  /** Begins a fetch by weft. */
  interface Way {
    void fetch(StockFetch fetch, String[] names, Endpoint peer, Undelivered undelivered);
  }

  private final PeerCache peers; // its own: other readers leave a daemon alone that did not answer
  private final Way weft;
  private final ScheduledExecutorService timer;
  private final long patienceNanos;
  private final LongSupplier clock;
  /** Daemons that were waited for in vain. A successor has another id. */
  private final Set<Endpoint> lost = ConcurrentHashMap.newKeySet();
  private volatile boolean closed;

  /**
   * @param peers whose directory is asked; its memory is left as it is
   * @param patienceMs how long after the first failure weft is asked again; once at least
   * @param clock nanoseconds
   */
  SecondFetch(PeerCache peers, Way weft, ScheduledExecutorService timer, long patienceMs, LongSupplier clock) {
    this.peers = peers.patient();
    this.weft = weft;
    this.timer = timer;
    this.patienceNanos = TimeUnit.MILLISECONDS.toNanos(patienceMs);
    this.clock = clock;
  }

  /** From now on Spark is told of each failure at once. */
  void close() {
    closed = true;
  }

  /** Takes what one call to Spark's own client fails. */
  BiConsumer<String, Throwable> failures(StockFetch fetch) {
    return new Failures(fetch);
  }

  /** Spark's client tells of one block at a time; those of a moment are asked for together. */
  private final class Failures implements BiConsumer<String, Throwable> {
    private final StockFetch fetch;
    private final Set<String> told = new HashSet<>(); // guarded by this, as causes
    private Map<String, Throwable> causes = new LinkedHashMap<>();

    Failures(StockFetch fetch) {
      this.fetch = fetch;
    }

    @Override
    public void accept(String block, Throwable cause) {
      if (closed || !block.startsWith("shuffle_")) { // nothing else outlives its executor
        fetch.listener.onBlockFetchFailure(block, cause);
        return;
      }
      synchronized (this) {
        if (!told.add(block)) {
          return;
        }
        causes.put(block, cause);
        if (causes.size() == 1) {
          timer.execute(this::ask);
        }
      }
    }

    private void ask() {
      Map<String, Throwable> all;
      synchronized (this) {
        all = causes;
        causes = new LinkedHashMap<>();
      }
      LOG.info("weft: {} block(s) of executor {} that Spark's own client does not bring are asked of weft again", all.size(), fetch.executor);
      new Batch(fetch, Collections.unmodifiableMap(all)).ask(all.keySet().toArray(new String[0]), FIRST_PAUSE_MS);
    }
  }

  /** Blocks that are asked for until they come, will not come, or it has taken too long. */
  private final class Batch {
    private final StockFetch fetch;
    private final Map<String, Throwable> causes;
    private final long began = clock.getAsLong();

    Batch(StockFetch fetch, Map<String, Throwable> causes) {
      this.fetch = fetch;
      this.causes = causes;
    }

    void ask(String[] names, long pauseMs) {
      peers.find(fetch.executor)
          .thenAccept(
              peer -> {
                if (peer == null || closed) {
                  fail(names, "no daemon is known for it");
                } else {
                  ask(names, pauseMs, peer);
                }
              });
    }

    private void ask(String[] names, long pauseMs, Endpoint peer) {
      try {
        weft.fetch(
            fetch, names, peer, (left, reason, detail) -> undelivered(left, reason, detail, pauseMs, peer));
      } catch (RuntimeException e) { // the bridge is closed
        fail(names, e.toString());
      }
    }

    private void undelivered(String[] names, Reason reason, String detail, long pauseMs, Endpoint peer) {
      peers.forget(fetch.executor, peer); // a new daemon has another address
      boolean passes = passes(reason);
      boolean late = clock.getAsLong() - began >= patienceNanos || lost.contains(peer);
      if (passes && !late && !closed) {
        timer.schedule(() -> ask(names, Math.min(2 * pauseMs, MAX_PAUSE_MS)), pauseMs, TimeUnit.MILLISECONDS);
        return;
      }
      if (late && reason == Reason.REASON_PEER_UNREACHABLE) {
        lost.add(peer);
      }
      fail(names, Traffic.word(reason) + ": " + detail);
    }

    private void fail(String[] names, String why) {
      LOG.info("weft: {} block(s) of executor {} do not come by weft either: {}", names.length, fetch.executor, why);
      for (String name : names) {
        try {
          fetch.listener.onBlockFetchFailure(name, causes.get(name));
        } catch (RuntimeException | Error e) {
          LOG.error("weft: the receiver of the failure of block {} failed", name, e);
        }
      }
    }
  }

  /** Whether it may be another one next time. */
  private static boolean passes(Reason reason) {
    switch (reason) {
      case REASON_DAEMON_GONE:
      case REASON_PEER_UNREACHABLE:
      case REASON_PEER_LOST:
      case REASON_CHECKSUM:
      case REASON_NO_SPACE:
      case REASON_TIMEOUT:
        return true;
      default:
        return false;
    }
  }
}
