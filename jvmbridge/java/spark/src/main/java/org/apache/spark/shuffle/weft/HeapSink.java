package org.apache.spark.shuffle.weft;

import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.Queue;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.network.buffer.NioManagedBuffer;
import weft.bridge.FetchSink;
import weft.bridge.Share;
import weft.proto.BlockProto.Reason;

/**
 * One block into a heap array of its own, which whoever fetched it may write in (BigDL does). The waiting thread copies it, not the
 * event loop (which has copied a small one off the socket). It is counted as what its last piece came by.
 */
final class HeapSink implements FetchSink {
  private static final int MAX_ARRAY = Integer.MAX_VALUE - 8;

  private final Traffic traffic;
  private final Queue<Piece> pieces = new ArrayDeque<>();
  private Reason reason;
  private String detail;
  private boolean ended;
  private boolean closed;

  HeapSink(Traffic traffic) {
    this.traffic = traffic;
  }

  /** Waits for the block; null after {@code failed} was told why it does not come. */
  ManagedBuffer await(Fetcher.SyncFailure failed) throws InterruptedException {
    byte[] block = null;
    while (true) {
      Piece piece = next();
      if (piece == null) {
        failed.tell(reason, detail);
        return null;
      }
      try {
        if (piece.blockLength > MAX_ARRAY) {
          failed.tell(Reason.REASON_TOO_LARGE, piece.blockLength + " bytes do not fit into an array");
          return null;
        }
        if (block == null) {
          block = new byte[(int) piece.blockLength];
        }
        piece.share.bytes().get(block, (int) piece.offset, piece.share.length());
      } finally {
        piece.share.release();
      }
      if (piece.offset + piece.share.length() == block.length) {
        traffic.byWeft(block.length, piece.transport);
        return new NioManagedBuffer(ByteBuffer.wrap(block));
      }
    }
  }

  private synchronized Piece next() throws InterruptedException {
    while (pieces.isEmpty() && reason == null) {
      wait();
    }
    return pieces.poll();
  }

  /** Nobody waits any more; true when the fetch is still under way. */
  synchronized boolean close() {
    closed = true;
    for (Piece p = pieces.poll(); p != null; p = pieces.poll()) {
      p.share.release();
    }
    return !ended;
  }

  @Override
  public void piece(int block, long offset, long length, Share share, String transport) {
    synchronized (this) {
      ended = offset + share.length() == length;
      if (!closed) {
        pieces.add(new Piece(offset, length, share, transport));
        notify();
        return;
      }
    }
    share.release();
  }

  @Override
  public synchronized void failed(int[] blocks, Reason why, String how) {
    ended = true;
    reason = why;
    detail = how;
    notify();
  }

  @Override
  public void delivered(int block, Share share, String transport) {
    share.release();
    throw new IllegalStateException("weft: a whole block that was asked for in pieces");
  }

  private static final class Piece {
    final long offset;
    final long blockLength;
    final Share share;
    final String transport;

    Piece(long offset, long blockLength, Share share, String transport) {
      this.offset = offset;
      this.blockLength = blockLength;
      this.share = share;
      this.transport = transport;
    }
  }
}
