package org.apache.spark.shuffle.weft;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.network.buffer.NioManagedBuffer;
import weft.bridge.Share;

/** An array in the heap, where Spark's own client puts blocks too. */
final class HeapTarget implements PieceSink.Target {
  private static final int MAX_ARRAY = Integer.MAX_VALUE - 8;

  private byte[] bytes;

  @Override
  public void write(Share share, long offset, long blockLength) throws IOException {
    if (bytes == null) {
      if (blockLength > MAX_ARRAY) {
        throw new IOException(blockLength + " bytes do not fit into an array; lower spark.network.maxRemoteBlockSizeFetchToMem");
      }
      bytes = new byte[(int) blockLength];
    }
    share.bytes().get(bytes, (int) offset, share.length());
  }

  @Override
  public ManagedBuffer finish() {
    return new NioManagedBuffer(ByteBuffer.wrap(bytes));
  }

  @Override
  public void handedOver() {}

  @Override
  public void drop() {
    bytes = null;
  }
}
