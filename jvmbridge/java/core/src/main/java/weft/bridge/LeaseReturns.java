package weft.bridge;

import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import weft.proto.BridgeProto.Release;

/** Collects what is released between two turns of the event loop into one frame. Thread-safe. */
final class LeaseReturns {
  private final Queue<Lease> waiting = new ConcurrentLinkedQueue<>();
  private final AtomicBoolean scheduled = new AtomicBoolean();
  private final AtomicInteger leases = new AtomicInteger();
  private final Executor loop;
  private final Consumer<Release> send;

  /**
   * @param loop the session's event loop
   * @param send called there; drops the frame when the session has ended
   */
  LeaseReturns(Executor loop, Consumer<Release> send) {
    this.loop = loop;
    this.send = send;
  }

  void granted() {
    leases.incrementAndGet();
  }

  void ended() {
    leases.decrementAndGet();
  }

  /** Leases of which a share is out. */
  int out() {
    return leases.get();
  }

  void add(Lease lease) {
    waiting.add(lease);
    if (scheduled.compareAndSet(false, true)) {
      try {
        loop.execute(this::flush);
      } catch (java.util.concurrent.RejectedExecutionException e) {
        waiting.clear(); // the bridge is closed: the daemon takes the leases back by itself
      }
    }
  }

  private void flush() {
    scheduled.set(false);
    Release.Builder release = Release.newBuilder();
    for (Lease lease = waiting.poll(); lease != null; lease = waiting.poll()) {
      int count = lease.takeUnreported();
      if (count > 0) {
        release.addLease(lease.id()).addCount(count);
      }
    }
    if (release.getLeaseCount() > 0) {
      send.accept(release.build());
    }
  }
}
