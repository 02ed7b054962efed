package org.apache.spark.shuffle.weft;

import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import weft.bridge.FetchSink;
import weft.bridge.Share;
import weft.proto.BlockProto.Reason;

/** Hands blocks to Spark where they lie, in shared memory. */
final class MemorySink implements FetchSink {
  private static final Logger LOG = LoggerFactory.getLogger(MemorySink.class);

  private final StockFetch fetch;
  private final String[] names;
  private final Undelivered undelivered;

  MemorySink(StockFetch fetch, String[] names, Undelivered undelivered) {
    this.fetch = fetch;
    this.names = names;
    this.undelivered = undelivered;
  }

  @Override
  public void delivered(int block, Share share, String transport) {
    try {
      fetch.traffic.byWeft(share.length(), transport);
      fetch.listener.onBlockFetchSuccess(names[block], new SegmentManagedBuffer(share)); // retains what it keeps
    } catch (RuntimeException | Error e) {
      LOG.error("weft: the receiver of block {} failed", names[block], e);
    } finally {
      share.release();
    }
  }

  @Override
  public void piece(int block, long offset, long length, Share share, String transport) {
    share.release();
    throw new IllegalStateException("weft: a piece of a block that was not asked for in pieces");
  }

  @Override
  public void failed(int[] blocks, Reason reason, String detail) {
    undelivered.take(pick(names, blocks), reason, detail);
  }

  static String[] pick(String[] names, int[] blocks) {
    String[] picked = new String[blocks.length];
    for (int i = 0; i < blocks.length; i++) {
      picked[i] = names[blocks[i]];
    }
    return picked;
  }
}
