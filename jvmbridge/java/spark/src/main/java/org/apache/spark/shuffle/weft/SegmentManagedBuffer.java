package org.apache.spark.shuffle.weft;

import io.netty.buffer.Unpooled;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import org.apache.spark.network.buffer.ManagedBuffer;
import weft.bridge.Share;

/**
 * A block in shared memory. Starts with a count of 1; its memory goes back to the daemon with the last release, after which
 * neither the buffer nor anything made from it may be read.
 */
final class SegmentManagedBuffer extends ManagedBuffer {
  private final Share share;

  SegmentManagedBuffer(Share share) {
    this.share = share;
  }

  @Override
  public long size() {
    return share.length();
  }

  @Override
  public ByteBuffer nioByteBuffer() {
    return share.bytes();
  }

  /** Throws when the buffer has been released. */
  void check() {
    share.check();
  }

  @Override
  public InputStream createInputStream() {
    return new SegmentInputStream(this);
  }

  @Override
  public ManagedBuffer retain() {
    share.retain();
    return this;
  }

  @Override
  public ManagedBuffer release() {
    share.release();
    return this;
  }

  @Override
  public Object convertToNetty() throws IOException {
    return Unpooled.wrappedBuffer(nioByteBuffer());
  }

  /** Abstract from Spark 4.0 on, unknown before (SPARK-44937). */
  public Object convertToNettyForSsl() throws IOException {
    return convertToNetty();
  }

  @Override
  public String toString() {
    return "SegmentManagedBuffer(" + share.length() + " bytes)";
  }
}
