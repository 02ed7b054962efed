package weft.peers;

import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;
import java.util.function.LongSupplier;

/**
 * A reader's memory of other executors' daemons. Asks once per executor, however many want to know; forgets on any failure; and
 * leaves an executor without a reachable daemon alone for a while. Thread-safe.
 */
public final class PeerCache {
  private final Function<String, CompletableFuture<Endpoint>> ask;
  private final long retryNanos;
  private final LongSupplier clock;
  private final Map<String, Entry> entries = new ConcurrentHashMap<>();

  /**
   * @param ask asks the directory without waiting, and answers in bounded time; null: no daemon
   * @param retryMs how long an executor without one is left alone
   * @param clock nanoseconds
   */
  public PeerCache(
      Function<String, CompletableFuture<Endpoint>> ask, long retryMs, LongSupplier clock) {
    this.ask = ask;
    this.retryNanos = TimeUnit.MILLISECONDS.toNanos(retryMs);
    this.clock = clock;
  }

  /** The executor's daemon, or null: it has none, none that could be reached lately, or the directory did not answer. */
  public CompletableFuture<Endpoint> find(String executor) {
    Entry entry = entries.get(executor);
    if (entry != null && !entry.isOver(clock.getAsLong())) {
      return entry.answer;
    }
    Entry mine = new Entry();
    Entry there = entries.merge(executor, mine, (old, next) -> old.isOver(clock.getAsLong()) ? next : old);
    if (there == mine) {
      ask(executor, mine);
    }
    return there.answer;
  }

  /** As find; waits for the directory's answer. */
  public Endpoint await(String executor) throws InterruptedException {
    try {
      return find(executor).get();
    } catch (ExecutionException e) {
      return null; // never: answers that fail are null
    }
  }

  private void ask(String executor, Entry entry) {
    CompletableFuture<Endpoint> answer;
    try {
      answer = ask.apply(executor);
    } catch (RuntimeException e) {
      answer = CompletableFuture.completedFuture(null);
    }
    answer.whenComplete(
        (endpoint, error) -> {
          if (endpoint == null) {
            entry.avoid(clock.getAsLong() + retryNanos);
          }
          entry.answer.complete(endpoint);
        });
  }

  /** Something failed with this executor's daemon: ask again before it is used again. */
  public void forget(String executor) {
    entries.remove(executor);
  }

  /**
   * This answer was of no use: ask again before this executor's daemon is used again, unless that was done since. Of many who failed with one
   * answer the first alone has it asked for again.
   */
  public void forget(String executor, Endpoint failed) {
    entries.computeIfPresent(executor, (name, entry) -> entry.answer.getNow(null) == failed ? null : entry);
  }

  /** A memory apart from this one, with the same directory, that leaves nobody alone: absence is not remembered. */
  public PeerCache patient() {
    return new PeerCache(ask, 0, clock);
  }

  /** This executor's daemon cannot be used: leave it alone for a while. */
  public void avoid(String executor) {
    Entry entry = new Entry();
    entry.avoid(clock.getAsLong() + retryNanos);
    entry.answer.complete(null);
    entries.put(executor, entry);
  }

  private static final class Entry {
    final CompletableFuture<Endpoint> answer = new CompletableFuture<>();
    private volatile boolean negative;
    private volatile long until;

    void avoid(long until) {
      this.until = until;
      this.negative = true;
    }

    boolean isOver(long now) {
      return negative && now - until >= 0;
    }
  }
}
