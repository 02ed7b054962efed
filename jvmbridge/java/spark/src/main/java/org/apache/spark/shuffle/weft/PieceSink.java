package org.apache.spark.shuffle.weft;

import java.io.IOException;
import java.util.concurrent.Executor;
import java.util.function.Supplier;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import weft.bridge.FetchSink;
import weft.bridge.Share;
import weft.proto.BlockProto.Reason;

/** Copies blocks out of what they came in piece by piece, one piece of a fetch at a time, and hands them to Spark when they are whole. */
final class PieceSink implements FetchSink {
  private static final Logger LOG = LoggerFactory.getLogger(PieceSink.class);

  /** Where one block is copied to. Used by one thread at a time. */
  interface Target {
    /**
     * @param offset of the piece in the block; each begins where the one before it ended
     */
    void write(Share share, long offset, long blockLength) throws IOException;

    /** The whole block, after its last piece. */
    ManagedBuffer finish() throws IOException;

    /** Spark has been given the block. */
    void handedOver();

    /** The block does not come this way. Nothing of it stays. */
    void drop();
  }

  private final StockFetch fetch;
  private final String[] names;
  private final Executor serial;
  private final Supplier<Target> newTarget;
  private final Undelivered undelivered;
  private final Target[] targets;
  private final boolean[] broken; // targets that were dropped; further pieces are not written

  PieceSink(StockFetch fetch, String[] names, Executor workers, Supplier<Target> newTarget, Undelivered undelivered) {
    this.fetch = fetch;
    this.names = names;
    this.serial = new SerialExecutor(workers);
    this.newTarget = newTarget;
    this.undelivered = undelivered;
    this.targets = new Target[names.length];
    this.broken = new boolean[names.length];
  }

  @Override
  public void piece(int block, long offset, long length, Share share, String transport) {
    serial.execute(() -> write(block, offset, length, share, transport));
  }

  private void write(int block, long offset, long length, Share share, String transport) {
    boolean last = offset + share.length() == length;
    ManagedBuffer whole = null;
    try {
      if (!broken[block]) {
        if (targets[block] == null) {
          targets[block] = newTarget.get();
        }
        targets[block].write(share, offset, length);
        whole = last ? targets[block].finish() : null;
      }
    } catch (IOException | RuntimeException | Error e) {
      LOG.warn("weft: block {} could not be written", names[block], e);
      drop(block);
    } finally {
      share.release();
    }
    if (!last) {
      return;
    }
    if (whole == null) {
      undelivered.take(new String[] {names[block]}, Reason.REASON_INTERNAL, "it could not be written");
      return;
    }
    fetch.traffic.byWeft(length, transport);
    try {
      fetch.listener.onBlockFetchSuccess(names[block], whole);
    } catch (RuntimeException | Error e) {
      LOG.error("weft: the receiver of block {} failed", names[block], e);
    }
    targets[block].handedOver();
  }

  private void drop(int block) {
    broken[block] = true;
    if (targets[block] != null) {
      targets[block].drop();
    }
  }

  @Override
  public void failed(int[] blocks, Reason reason, String detail) {
    serial.execute(
        () -> {
          for (int block : blocks) {
            drop(block);
          }
          undelivered.take(MemorySink.pick(names, blocks), reason, detail);
        });
  }

  @Override
  public void delivered(int block, Share share, String transport) {
    share.release();
    throw new IllegalStateException("weft: a whole block that was asked for in pieces");
  }
}
