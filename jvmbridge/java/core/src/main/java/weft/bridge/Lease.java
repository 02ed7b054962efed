package weft.bridge;

import java.util.concurrent.atomic.AtomicInteger;

/** A lease of a part of a segment, in as many shares as blocks lie in it. Each share goes back once. Thread-safe. */
final class Lease {
  private final long id;
  private final Segment segment;
  private final LeaseReturns returns;
  private final AtomicInteger out;
  private final AtomicInteger unreported = new AtomicInteger();

  /** Holds the segment until the last share is back. */
  Lease(long id, int shares, Segment segment, LeaseReturns returns) {
    this.id = id;
    this.segment = segment;
    this.returns = returns;
    this.out = new AtomicInteger(shares);
    if (!segment.hold()) {
      throw new IllegalStateException("weft: lease " + id + " lies in a segment that was given up");
    }
    returns.granted();
  }

  long id() {
    return id;
  }

  Segment segment() {
    return segment;
  }

  /** Gives one share back. The bytes may be overwritten from now on. */
  void release() {
    int left = out.decrementAndGet();
    if (left < 0) {
      throw new IllegalStateException("weft: lease " + id + " was released too often");
    }
    if (unreported.getAndIncrement() == 0) {
      returns.add(this);
    }
    if (left == 0) {
      segment.release();
      returns.ended();
    }
  }

  /** Shares that the daemon has to be told of. */
  int takeUnreported() {
    return unreported.getAndSet(0);
  }
}
