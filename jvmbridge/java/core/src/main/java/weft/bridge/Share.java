package weft.bridge;

import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicIntegerFieldUpdater;

/**
 * The bytes of one block (or piece): in shared memory, or in the heap where a small one came inside a frame. Starts with one reference, which is the
 * receiver's; the bytes may be read while there is one, and the lease's share goes back with the last. Thread-safe.
 */
public final class Share {
  private static final AtomicIntegerFieldUpdater<Share> REFERENCES =
      AtomicIntegerFieldUpdater.newUpdater(Share.class, "references");
  private static final ByteBuffer NOTHING = ByteBuffer.allocateDirect(0).asReadOnlyBuffer();

  private final Lease lease; // null: the bytes are not in shared memory
  private final ByteBuffer own; // the bytes then
  private final long offset;
  private final int length;
  private final LeakDetector.Watch watch; // null: too short-lived to be watched
  private volatile int references = 1;

  Share(Lease lease, long offset, int length, LeakDetector leaks) {
    this.lease = lease;
    this.own = NOTHING;
    this.offset = offset;
    this.length = length;
    this.watch = lease == null || leaks == null ? null : leaks.watch(this);
  }

  /** A share of bytes that came inside a frame. */
  Share(ByteBuffer own) {
    this.lease = null;
    this.own = own;
    this.offset = 0;
    this.length = own.remaining();
    this.watch = null;
  }

  public int length() {
    return length;
  }

  /** Throws when the bytes have been released. */
  public void check() {
    if (references <= 0) {
      throw new IllegalStateException("weft: block was read after its release");
    }
  }

  /** A read-only view. Throws when the bytes have been released. */
  public ByteBuffer bytes() {
    check();
    return lease == null ? own.duplicate() : lease.segment().slice(offset, length);
  }

  public void retain() {
    if (REFERENCES.getAndIncrement(this) <= 0) {
      REFERENCES.decrementAndGet(this);
      throw new IllegalStateException("weft: block was retained after its release");
    }
  }

  public void release() {
    int left = REFERENCES.decrementAndGet(this);
    if (left < 0) {
      REFERENCES.incrementAndGet(this);
      throw new IllegalStateException("weft: block was released too often");
    }
    if (left == 0 && lease != null) {
      if (watch != null) {
        watch.end();
      }
      lease.release();
    }
  }
}
