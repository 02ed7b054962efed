package org.apache.spark.shuffle.weft;

import java.util.concurrent.CompletableFuture;
import java.util.function.BiFunction;
import java.util.function.Supplier;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.network.util.TransportConf;
import weft.bridge.BlockNames;
import weft.bridge.FetchRequest;
import weft.bridge.FetchSink;
import weft.peers.Endpoint;
import weft.peers.PeerCache;
import weft.proto.BlockProto.Reason;

/**
 * Decides for each fetch: by weft, and what that does not deliver by Spark's own client. Thread-safe; never waits, but in
 * {@link #fetchSync}.
 */
final class Fetcher {
  private final PeerCache peers;
  private final BiFunction<FetchRequest, FetchSink, Runnable> bridge;
  private final Traffic traffic;
  private final Workers workers;
  private final TransportConf transportConf;
  private final SecondFetch second; // null: what Spark's own client fails has failed

  /**
   * @param bridge begins a fetch and gives what cancels it
   * @param againMs how long weft is asked again for map outputs that Spark's own client fails; negative: not at all
   */
  Fetcher(
      PeerCache peers,
      BiFunction<FetchRequest, FetchSink, Runnable> bridge,
      Traffic traffic,
      Workers workers,
      TransportConf transportConf,
      long againMs) {
    this.peers = peers;
    this.bridge = bridge;
    this.traffic = traffic;
    this.workers = workers;
    this.transportConf = transportConf;
    this.second = againMs < 0 ? null : new SecondFetch(peers, this::inPieces, workers.again, againMs, System::nanoTime);
  }

  Traffic traffic() {
    return traffic;
  }

  /** This executor ends: nothing is asked for again. */
  void close() {
    if (second != null) {
      second.close();
    }
  }

  /** As BlockStoreClient.fetchBlocks. */
  void fetch(StockFetch fetch, String[] names) {
    if (isMerged(names[0])) {
      fetch.run(names, null); // pushed and merged blocks are the shuffle service's alone
      return;
    }
    CompletableFuture<Endpoint> peer = peers.find(fetch.executor);
    if (!peer.isDone()) {
      peer.thenAccept(
          found -> {
            if (found == null) {
              workers.stock.execute(() -> withoutWeft(fetch, names));
            } else {
              byWeft(fetch, names, found);
            }
          });
    } else if (peer.join() == null) {
      withoutWeft(fetch, names);
    } else {
      byWeft(fetch, names, peer.join());
    }
  }

  private void withoutWeft(StockFetch fetch, String[] names) {
    traffic.fallback(
        Reason.REASON_PEER_UNKNOWN, names.length, fetch.executor, "no usable daemon is known for it");
    byStock(fetch, names, Reason.REASON_PEER_UNKNOWN);
  }

  private void byWeft(StockFetch fetch, String[] names, Endpoint peer) {
    Undelivered undelivered = (left, reason, detail) -> fallBack(fetch, left, reason, detail);
    if (fetch.downloads != null) {
      inPieces(fetch, names, peer, undelivered);
    } else {
      bridge.apply(
          new FetchRequest(peer, fetch.executor, new BlockNames(names), false), new MemorySink(fetch, names, undelivered));
    }
  }

  /** Begins a fetch that copies blocks out of shared memory, into files where the reader wants them there. */
  private void inPieces(StockFetch fetch, String[] names, Endpoint peer, Undelivered undelivered) {
    Supplier<PieceSink.Target> target =
        fetch.downloads == null ? HeapTarget::new : () -> new FileTarget(fetch.downloads, transportConf);
    bridge.apply(
        new FetchRequest(peer, fetch.executor, new BlockNames(names), true),
        new PieceSink(fetch, names, workers.downloads, target, undelivered));
  }

  /** Leaves blocks to Spark's own client, from any thread. */
  private void fallBack(StockFetch fetch, String[] names, Reason reason, String detail) {
    noteFailure(fetch.executor, reason);
    traffic.fallback(reason, names.length, fetch.executor, detail);
    workers.stock.execute(() -> byStock(fetch, names, reason));
  }

  /** Fetches blocks by Spark's own client. What that fails is asked of weft again, where map outputs outlive their executors. */
  private void byStock(StockFetch fetch, String[] names, Reason reason) {
    if (second == null) {
      fetch.run(names, reason);
    } else {
      fetch.run(names, reason, second.failures(fetch));
    }
  }

  /**
   * One block into a private heap array, as BlockTransferService.fetchBlockSync; null: weft cannot, {@code failed} has been
   * told why. Waits.
   */
  ManagedBuffer fetchSync(String executor, String name, SyncFailure failed)
      throws InterruptedException {
    Endpoint peer = peers.await(executor);
    if (peer == null) {
      failed.tell(Reason.REASON_PEER_UNKNOWN, "no usable daemon is known for it");
      return null;
    }
    HeapSink sink = new HeapSink(traffic);
    Runnable cancel =
        bridge.apply(
            new FetchRequest(peer, executor, new BlockNames(new String[] {name}), true), sink);
    try {
      return sink.await(
          (reason, detail) -> {
            noteFailure(executor, reason);
            failed.tell(reason, detail);
          });
    } finally {
      if (sink.close()) {
        cancel.run();
      }
    }
  }

  /** Told why a block did not come. */
  interface SyncFailure {
    void tell(Reason reason, String detail);
  }

  private void noteFailure(String executor, Reason reason) {
    switch (reason) {
      case REASON_PEER_UNREACHABLE:
      case REASON_PEER_REFUSED:
        peers.avoid(executor);
        break;
      case REASON_DAEMON_GONE:
      case REASON_NO_SPACE:
      case REASON_TOO_LARGE:
      case REASON_CANCELLED:
        break; // not the peer's fault
      default:
        peers.forget(executor);
    }
  }

  private static boolean isMerged(String name) {
    return name.startsWith("shuffleChunk_") || name.startsWith("shuffleMerged_");
  }
}
