package weft.bridge;

import com.google.protobuf.ByteString;
import java.io.IOException;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import weft.proto.BlockProto.Reason;
import weft.proto.BridgeProto.Delivered;
import weft.proto.BridgeProto.Delivery;
import weft.proto.BridgeProto.Failed;
import weft.proto.BridgeProto.Fetch;

/** One fetch under way: sees to it that every block ends exactly once. Used on the event loop alone. */
final class FetchCall {
  private static final Logger LOG = LoggerFactory.getLogger(FetchCall.class);

  /** A block up to this long that is fetched by itself, to be copied, comes inside Delivered: no lease has to be given back for it. */
  static final int INLINE = 64 << 10;

  private final FetchRequest request;
  private final FetchSink sink;
  private final BitSet open;
  private final long[] received; // bytes of each block so far, for pieces
  long id;
  /** System.nanoTime() of the last sign of life. */
  long progress;
  /** It was cancelled for having been silent too long. */
  boolean givenUp;

  FetchCall(FetchRequest request, FetchSink sink) {
    this.request = request;
    this.sink = sink;
    this.open = new BitSet();
    open.set(0, request.blocks.count());
    this.received = request.pieces ? new long[request.blocks.count()] : null;
  }

  Fetch frame(long timeoutMs) {
    return Fetch.newBuilder()
        .setRequestId(id)
        .addAllPeerAddress(Arrays.asList(request.peer.addresses()))
        .setPeerPort(request.peer.port())
        .setPeerDaemonId(ByteString.copyFrom(request.peer.daemonId()))
        .setExecutorId(request.executor)
        .setBlocks(request.blocks.wire())
        .setDelivery(request.pieces ? Delivery.DELIVERY_PIECES : Delivery.DELIVERY_WHOLE)
        .setTimeoutMs((int) timeoutMs)
        .setInlineMax(inlineMax())
        .build();
  }

  /** 0 for several blocks: what their receivers have not copied yet is to lie in leases, of which there are only so many. */
  private int inlineMax() {
    return request.pieces && request.blocks.count() == 1 ? INLINE : 0;
  }

  boolean ended() {
    return open.isEmpty();
  }

  /**
   * Hands blocks on.
   *
   * @param lease null where the frame has none
   * @throws IOException where the daemon broke the protocol; shares not handed on have been released then
   */
  void delivered(Delivered frame, Lease lease, LeakDetector leaks) throws IOException {
    int entries = frame.getBlockCount();
    for (int i = 0; i < entries; i++) {
      int block;
      try {
        block = check(frame, i, lease);
      } catch (IOException e) {
        for (int rest = i; rest < entries && lease != null; rest++) {
          lease.release();
        }
        throw e;
      }
      long length = frame.getLength(i);
      Lease of = length == 0 ? null : lease;
      if (of == null && lease != null) {
        lease.release(); // a block without bytes beside others has a share too
      }
      if (request.pieces) {
        piece(frame, i, block, of);
      } else {
        Share share = new Share(of, frame.getOffset(i), (int) length, leaks);
        open.clear(block);
        whole(block, share, frame.getTransport());
      }
    }
  }

  private int check(Delivered frame, int i, Lease lease) throws IOException {
    long length = frame.getLength(i);
    int block = block(frame.getBlock(i));
    if (!frame.getInline().isEmpty()) {
      int size = frame.getInline().size();
      if (size > inlineMax() || lease != null || length != size || frame.getBlockLength() != size) {
        throw new IOException("weft: the daemon delivered a block inside a frame that says something else of it");
      }
    } else if (length != 0) {
      if (lease == null) {
        throw new IOException("weft: the daemon delivered bytes without a lease");
      }
      lease.segment().check(frame.getOffset(i), length);
    }
    if (request.pieces
        && (frame.getBlockCount() != 1
            || frame.getPieceOffset() != received[block]
            || length > frame.getBlockLength() - received[block]
            || (length == 0 && frame.getBlockLength() != 0))) {
      throw new IOException("weft: the daemon delivered a piece out of order");
    }
    return block;
  }

  private int block(int wire) throws IOException {
    if (wire >= 0 && wire < request.blocks.count()) {
      int block = request.blocks.fromWire(wire);
      if (open.get(block)) {
        return block;
      }
    }
    throw new IOException("weft: the daemon ended block " + wire + " of a request that does not wait for it");
  }

  private void whole(int block, Share share, String transport) {
    try {
      sink.delivered(block, share, transport);
    } catch (RuntimeException | Error e) {
      LOG.error("weft: the receiver of a block failed", e);
    }
  }

  private void piece(Delivered frame, int i, int block, Lease lease) {
    long offset = received[block];
    received[block] += frame.getLength(i);
    if (received[block] == frame.getBlockLength()) {
      open.clear(block);
    }
    Share share =
        frame.getInline().isEmpty()
            ? new Share(lease, frame.getOffset(i), (int) frame.getLength(i), null)
            : new Share(frame.getInline().asReadOnlyByteBuffer());
    try {
      sink.piece(block, offset, frame.getBlockLength(), share, frame.getTransport());
    } catch (RuntimeException | Error e) {
      LOG.error("weft: the receiver of a piece failed", e);
    }
  }

  /**
   * Ends blocks.
   *
   * @throws IOException where the daemon broke the protocol; none of the frame's blocks has ended then
   */
  void failed(Failed frame) throws IOException {
    List<Integer> wire = frame.getBlockList();
    int[] blocks = new int[wire.size()];
    int ended = 0;
    try {
      while (ended < blocks.length) {
        blocks[ended] = block(wire.get(ended));
        open.clear(blocks[ended++]);
      }
    } catch (IOException e) {
      while (ended > 0) {
        open.set(blocks[--ended]);
      }
      throw e;
    }
    boolean late = givenUp && frame.getReason() == Reason.REASON_CANCELLED;
    fail(blocks, late ? Reason.REASON_TIMEOUT : frame.getReason(), frame.getDetail());
  }

  /** Ends all blocks still open. */
  void failAll(Reason reason, String detail) {
    int[] blocks = open.stream().toArray();
    open.clear();
    fail(blocks, reason, detail);
  }

  private void fail(int[] blocks, Reason reason, String detail) {
    if (blocks.length == 0) {
      return;
    }
    try {
      sink.failed(blocks, reason, detail);
    } catch (RuntimeException | Error e) {
      LOG.error("weft: the receiver of a failure failed", e);
    }
  }
}
