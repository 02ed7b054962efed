package weft.bridge;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * Shared memory mapped from the daemon. The mapping lives while the session uses it or anything in it is held; who reads or
 * writes in it must hold it. Thread-safe.
 */
final class Segment {
  private final int number;
  private final boolean writable;
  private final ByteBuffer root;
  /** One for the session, one for each hold. The mapping ends with the last. */
  private final AtomicInteger holds = new AtomicInteger(1);

  Segment(int number, boolean writable, ByteBuffer root) {
    this.number = number;
    this.writable = writable;
    this.root = root;
  }

  int number() {
    return number;
  }

  boolean writable() {
    return writable;
  }

  /** Keeps the mapping; false when it has ended already. */
  boolean hold() {
    int n;
    do {
      n = holds.get();
      if (n == 0) {
        return false;
      }
    } while (!holds.compareAndSet(n, n + 1));
    return true;
  }

  /** Gives a hold back, or (the session) gives the segment up. */
  void release() {
    int n = holds.decrementAndGet();
    if (n < 0) {
      throw new IllegalStateException("weft: segment " + number + " was released too often");
    }
    if (n == 0) {
      Mapping.unmap(root);
    }
  }

  /** The bytes [offset, offset+length), without a copy. The caller holds the segment while it uses them. */
  ByteBuffer slice(long offset, long length) {
    ByteBuffer view = root.duplicate();
    view.limit(Math.toIntExact(offset + length)).position((int) offset);
    return view.slice();
  }

  void check(long offset, long length) throws IOException {
    if (offset < 0 || length < 0 || offset > root.capacity() || length > root.capacity() - offset) {
      throw new IOException(
          "weft: the daemon named bytes outside segment " + number + ": " + offset + " + " + length);
    }
  }
}
