package weft.bridge;

import weft.proto.BlockProto.Reason;

/**
 * Receives what one fetch delivers. Every block ends exactly once: by delivered, by its last piece, or by failed. Calls come one
 * at a time, from the event loop or from the thread that calls {@link Bridge#fetch}; they must not block. Block numbers are
 * indices into the request's names.
 */
public interface FetchSink {
  /** A whole block. The share is the receiver's to release. */
  void delivered(int block, Share share, String transport);

  /**
   * The next bytes of a block, only for a fetch in pieces; the last piece ends at blockLength. The share is the receiver's to
   * release, soon: the daemon waits for it with further pieces, but for a small block that came inside a frame.
   */
  void piece(int block, long offset, long blockLength, Share share, String transport);

  /** Blocks that will not come (or of a block in pieces: no further piece). */
  void failed(int[] blocks, Reason reason, String detail);
}
