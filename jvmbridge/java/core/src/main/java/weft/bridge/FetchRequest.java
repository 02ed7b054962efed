package weft.bridge;

import weft.peers.Endpoint;

/** What to fetch, and from where. Immutable. */
public final class FetchRequest {
  public final Endpoint peer;
  public final String executor;
  public final BlockNames blocks;
  public final boolean pieces;

  /**
   * @param peer the daemon of the owner
   * @param executor the owner
   * @param pieces false: each block whole, in a lease that the receiver may keep; true: in pieces to be copied out at once
   */
  public FetchRequest(Endpoint peer, String executor, BlockNames blocks, boolean pieces) {
    this.peer = peer;
    this.executor = executor;
    this.blocks = blocks;
    this.pieces = pieces;
  }
}
