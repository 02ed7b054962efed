package weft.peers;

import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;

/**
 * The driver's table of executors and their daemons. An executor joins when it starts and announces its daemon once its session
 * is open; who asks in between waits. Thread-safe.
 */
public final class EndpointTable {
  /** A pending future: joined, no daemon yet. Completed with null: runs without weft. */
  private final Map<String, CompletableFuture<Endpoint>> entries = new ConcurrentHashMap<>();
  /** Executors whose daemons serve what they leave. */
  private final Set<String> outlived = new HashSet<>(); // guarded by this, as those below
  private final Set<String> living = new HashSet<>();
  /** Of executors that live: the daemon that has what they had registered with one before it. */
  private final Map<String, Endpoint> heirs = new HashMap<>();

  public synchronized void join(String executor) {
    living.add(executor);
    entries.computeIfAbsent(executor, e -> new CompletableFuture<>());
  }

  /**
   * Sets an executor's daemon.
   *
   * @param keeps whether the daemon serves what the executor leaves; it is found after the executor's end then
   */
  public synchronized void announce(String executor, Endpoint endpoint, boolean keeps) {
    if (keeps) {
      outlived.add(executor);
    } else {
      outlived.remove(executor);
    }
    heirs.remove(executor); // it has registered everything itself
    set(executor, endpoint);
  }

  /** A daemon serves what this executor had registered with one before it. That counts when the executor has ended. */
  public synchronized void takeOver(String executor, Endpoint endpoint) {
    if (living.contains(executor)) {
      heirs.put(executor, endpoint);
    } else {
      inherit(executor, endpoint);
    }
  }

  private void inherit(String executor, Endpoint endpoint) {
    outlived.add(executor);
    set(executor, endpoint);
  }

  /** The executor has no daemon, or lost it; it announces again when it has one. */
  public synchronized void withdraw(String executor) {
    outlived.remove(executor);
    set(executor, null);
  }

  /**
   * The executor is gone. What it announced stays, where its daemon serves what it left.
   *
   * @return whether that is so
   */
  public synchronized boolean remove(String executor) {
    living.remove(executor);
    Endpoint heir = heirs.remove(executor);
    if (heir != null) {
      inherit(executor, heir);
    }
    if (outlived.contains(executor)) {
      return true;
    }
    CompletableFuture<Endpoint> entry = entries.remove(executor);
    if (entry != null) {
      entry.complete(null);
    }
    return false;
  }

  /** The executor's daemon, or null where it runs without; pending while it is still opening its session. */
  public CompletableFuture<Endpoint> lookup(String executor) {
    CompletableFuture<Endpoint> entry = entries.get(executor);
    return entry != null ? entry : CompletableFuture.completedFuture(null);
  }

  private void set(String executor, Endpoint endpoint) {
    CompletableFuture<Endpoint> before =
        entries.put(executor, CompletableFuture.completedFuture(endpoint));
    if (before != null) {
      before.complete(endpoint);
    }
  }
}
