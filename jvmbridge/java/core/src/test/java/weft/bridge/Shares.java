package weft.bridge;

import java.nio.ByteBuffer;

/** Shares of memory that is no daemon's, for tests; counts what was given back. */
public final class Shares {
  private final LeaseReturns returns = new LeaseReturns(Runnable::run, release -> {});
  private long leases;

  /** A share of a copy of these bytes, in a lease of its own. */
  public Share of(byte[] bytes) {
    ByteBuffer memory = ByteBuffer.allocateDirect(bytes.length + 7);
    memory.position(7);
    memory.put(bytes);
    if (bytes.length == 0) {
      return new Share(null, 0, 0, null);
    }
    Segment segment = new Segment(1, false, memory.asReadOnlyBuffer());
    return new Share(new Lease(++leases, 1, segment, returns), 7, bytes.length, null);
  }

  /** Shares that were not given back. */
  public int out() {
    return returns.out();
  }
}
