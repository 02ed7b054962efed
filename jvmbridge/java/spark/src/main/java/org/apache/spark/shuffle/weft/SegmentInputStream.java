package org.apache.spark.shuffle.weft;

import java.io.InputStream;
import java.nio.ByteBuffer;

/**
 * Reads a block out of shared memory. Keeps the buffer reachable, so that it does not look lost while it is being read; a read after
 * the buffer's release throws, since other bytes or none may lie there then.
 */
final class SegmentInputStream extends InputStream {
  private SegmentManagedBuffer buffer;
  private ByteBuffer bytes;

  SegmentInputStream(SegmentManagedBuffer buffer) {
    this.buffer = buffer;
    this.bytes = buffer.nioByteBuffer();
  }

  @Override
  public int read() {
    if (atEnd()) {
      return -1;
    }
    buffer.check();
    return bytes.get() & 0xff;
  }

  @Override
  public int read(byte[] to, int offset, int length) {
    if (length == 0) {
      return 0;
    }
    if (atEnd()) {
      return -1;
    }
    buffer.check();
    int n = Math.min(length, bytes.remaining());
    bytes.get(to, offset, n);
    return n;
  }

  private boolean atEnd() {
    return bytes == null || !bytes.hasRemaining();
  }

  @Override
  public long skip(long n) {
    if (bytes == null || n <= 0) {
      return 0;
    }
    int skipped = (int) Math.min(n, bytes.remaining());
    bytes.position(bytes.position() + skipped);
    return skipped;
  }

  @Override
  public int available() {
    return bytes == null ? 0 : bytes.remaining();
  }

  /** Releases nothing: that is for the owner of the buffer. */
  @Override
  public void close() {
    bytes = null;
    buffer = null;
  }
}
