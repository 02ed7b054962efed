package weft.bridge;

import java.lang.ref.PhantomReference;
import java.lang.ref.ReferenceQueue;
import java.util.concurrent.atomic.AtomicLong;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds blocks that were garbage collected without having been released, and reports them. It can only see that the block's own object is
 * gone: somebody may still read its bytes, so their memory stays taken until the session ends. Thread-safe.
 */
final class LeakDetector {
  private static final Logger LOG = LoggerFactory.getLogger(LeakDetector.class);

  private final ReferenceQueue<Share> collected = new ReferenceQueue<>();
  private final Watch head = new Watch(null);
  private final AtomicLong leaks = new AtomicLong();

  LeakDetector() {
    head.next = head;
    head.previous = head;
  }

  Watch watch(Share share) {
    Watch watch = new Watch(share);
    synchronized (head) {
      watch.next = head.next;
      watch.previous = head;
      head.next.previous = watch;
      head.next = watch;
    }
    return watch;
  }

  /** Reports what was lost since the last call; to be called now and then. */
  void sweep() {
    for (Object found = collected.poll(); found != null; found = collected.poll()) {
      Watch watch = (Watch) found;
      if (watch.end()) {
        long count = leaks.incrementAndGet();
        if (Long.bitCount(count) == 1) { // the first, the second, the fourth...
          LOG.error(
              "weft: a block was dropped without being released, {} so far. Its memory stays taken as long as this executor has its"
                  + " session; whoever fetched it must call release() on its ManagedBuffer",
              count);
        }
      }
    }
  }

  long leaks() {
    return leaks.get();
  }

  final class Watch extends PhantomReference<Share> {
    private Watch next;
    private Watch previous;

    private Watch(Share share) {
      super(share, collected);
    }

    /** The block was released, or its loss noticed; true for the first call. */
    boolean end() {
      synchronized (head) {
        if (next == null) {
          return false;
        }
        next.previous = previous;
        previous.next = next;
        next = null;
        return true;
      }
    }
  }
}
