package org.apache.spark.shuffle.weft;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.spark.network.buffer.FileSegmentManagedBuffer;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.network.shuffle.BlockFetchingListener;
import org.apache.spark.network.util.MapConfigProvider;
import org.apache.spark.network.util.TransportConf;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import weft.peers.Endpoint;
import weft.peers.PeerCache;
import weft.proto.BlockProto.Reason;

/** Blocks of an executor that has ended: Spark's own client fails all of them. */
@Timeout(30)
class SecondFetchTest {
  private static final String A = "shuffle_0_0_0";
  private static final String B = "shuffle_0_1_0";
  private static final long PATIENCE_MS = 60_000;

  @TempDir File dir;

  private final FakeBridge bridge = new FakeBridge();
  private final FakeStock stock = new FakeStock();
  private final FakeStock.Listener listener = new FakeStock.Listener();
  private final Workers workers = new Workers();
  private final Traffic traffic = new Traffic((reason, blocks, bytes) -> {});
  private volatile Endpoint endpoint = daemon(1);

  private Fetcher fetcher(long againMs) {
    TransportConf conf = new TransportConf("shuffle", new MapConfigProvider(Collections.emptyMap()));
    return new Fetcher(peers(), bridge::fetch, traffic, workers, conf, againMs);
  }

  private PeerCache peers() {
    return new PeerCache(executor -> CompletableFuture.completedFuture(endpoint), PATIENCE_MS, System::nanoTime);
  }

  private static Endpoint daemon(int id) {
    return new Endpoint(new String[] {"10.0.0.2"}, 7400, new byte[] {(byte) id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0});
  }

  @BeforeEach
  void ended() {
    stock.failing.addAll(List.of(A, B));
  }

  @AfterEach
  void stop() {
    assertEquals(0, bridge.shares.out(), "every share was given back");
  }

  private void fetch(Fetcher with, FakeStock.Downloads downloads, String... names) {
    with.fetch(stock(downloads), names);
  }

  private StockFetch stock(FakeStock.Downloads downloads) {
    return new StockFetch(stock, "h", 7337, "2", listener, downloads, traffic);
  }

  private void assertFailedAsStock(String block) {
    assertEquals("netty failed", assertInstanceOf(IOException.class, listener.results.get(block)).getMessage());
  }

  private static byte[] bytes(String s) {
    return s.getBytes();
  }

  /** Answers blocks of calls until none is left to answer; the bridge may be asked for some of them at a time. */
  private void deliver(String... names) throws InterruptedException {
    for (int left = names.length; left > 0; ) {
      FakeBridge.Call call = bridge.next();
      assertTrue(call.request.pieces, "memory is wanted for as short as can be");
      for (int i = 0; i < call.request.blocks.count(); i++, left--) {
        call.pieces(i, bytes("by weft " + call.request.blocks.name(i)), 5, 0);
      }
    }
  }

  @Test
  void whatSparksClientFailsIsAskedOfWeftAgain() throws Exception {
    fetch(fetcher(PATIENCE_MS), null, A, "shuffle_0_2_0", B);
    bridge.next().fail(Reason.REASON_DAEMON_GONE, 0, 1, 2);
    deliver(A, B);
    listener.await(3);
    assertArrayEquals(bytes("by weft " + A), listener.bytes(A));
    assertArrayEquals(bytes("by weft " + B), listener.bytes(B));
    assertArrayEquals(bytes("shuffle_0_2_0"), listener.bytes("shuffle_0_2_0"), "Spark's client brought it");
    assertEquals("weft_blocks=2 weft_bytes=42 netty_blocks=1 netty_bytes=13 fallbacks={daemon_gone=3}", traffic.summary());
  }

  @Test
  void itIsAskedUntilANewDaemonIsThere() throws Exception {
    fetch(fetcher(PATIENCE_MS), null, A);
    bridge.next().fail(Reason.REASON_PEER_LOST, 0);
    bridge.next().fail(Reason.REASON_PEER_UNREACHABLE, 0);
    endpoint = daemon(2);
    for (Reason reason : List.of(Reason.REASON_DAEMON_GONE, Reason.REASON_NO_SPACE, Reason.REASON_TIMEOUT)) {
      FakeBridge.Call call = bridge.next();
      assertEquals(daemon(2), call.request.peer);
      call.fail(reason, 0);
    }
    deliver(A);
    listener.await(1);
    assertArrayEquals(bytes("by weft " + A), listener.bytes(A));
    assertEquals(1, stock.fetched().size());
  }

  @Test
  void aDaemonThatCouldNotBeReachedIsAskedAllTheSame() throws Exception {
    endpoint = null;
    Fetcher fetcher = fetcher(PATIENCE_MS);
    fetch(fetcher, null, "shuffle_9_0_0"); // remembered for the time being: none is known
    endpoint = daemon(1);
    fetch(fetcher, null, A);
    deliver(A);
    listener.await(2);
    assertArrayEquals(bytes("by weft " + A), listener.bytes(A));
  }

  @Test
  void piecesOfAnAskThatFailedAreForgotten() throws Exception {
    FakeStock.Downloads downloads = new FakeStock.Downloads(dir);
    fetch(fetcher(PATIENCE_MS), downloads, A);
    bridge.next().fail(Reason.REASON_PEER_LOST, 0);
    FakeBridge.Call half = bridge.next();
    half.pieces(0, bytes("0123456789"), 5, 3);
    half.fail(Reason.REASON_PEER_LOST, 0);
    deliver(A);
    listener.await(1);
    assertInstanceOf(FileSegmentManagedBuffer.class, listener.results.get(A));
    assertArrayEquals(bytes("by weft " + A), listener.bytes(A));
    workers.downloads.shutdown();
    assertTrue(workers.downloads.awaitTermination(10, java.util.concurrent.TimeUnit.SECONDS));
    assertEquals(1, dir.list().length, "the other file was removed");
  }

  @Test
  void aBlockWithoutBytesComesToo() throws Exception {
    fetch(fetcher(PATIENCE_MS), null, A);
    bridge.next().fail(Reason.REASON_PEER_LOST, 0);
    bridge.next().pieces(0, new byte[0], 1, 0);
    listener.await(1);
    assertEquals(0, ((ManagedBuffer) listener.results.get(A)).size());
  }

  /** Spark is told what its own client said. */
  @Test
  void whatWillNotComeFailsAsSparksClientSaid() throws Exception {
    for (Reason reason : List.of(Reason.REASON_OWNER_GONE, Reason.REASON_NOT_FOUND, Reason.REASON_BAD_MAP_OUTPUT)) {
      fetch(fetcher(PATIENCE_MS), null, A);
      bridge.next().fail(Reason.REASON_PEER_LOST, 0);
      bridge.next().fail(reason, 0);
      listener.await(1);
      assertFailedAsStock(A);
      listener.results.clear();
    }
    assertTrue(bridge.calls.isEmpty());
  }

  @Test
  void whoIsNotInTheDirectoryIsNotAsked() throws Exception {
    fetch(fetcher(PATIENCE_MS), null, A, B);
    endpoint = null;
    bridge.next().fail(Reason.REASON_PEER_LOST, 0, 1);
    listener.await(2);
    assertFailedAsStock(A);
    assertFailedAsStock(B);
    assertTrue(bridge.calls.isEmpty());
  }

  @Test
  void onlyMapOutputsOutliveTheirExecutor() throws Exception {
    stock.failing.add("rdd_0_0");
    fetch(fetcher(PATIENCE_MS), null, "rdd_0_0");
    bridge.next().fail(Reason.REASON_PEER_LOST, 0);
    listener.await(1);
    assertFailedAsStock("rdd_0_0");
    assertTrue(bridge.calls.isEmpty());
  }

  @Test
  void nothingIsAskedForAgainAtTheEnd() throws Exception {
    Fetcher fetcher = fetcher(PATIENCE_MS);
    fetch(fetcher, null, A);
    bridge.next().fail(Reason.REASON_PEER_LOST, 0);
    FakeBridge.Call again = bridge.next();
    fetcher.close();
    again.fail(Reason.REASON_DAEMON_GONE, 0);
    listener.await(1);
    assertFailedAsStock(A);
    fetch(fetcher, null, B);
    bridge.next().fail(Reason.REASON_DAEMON_GONE, 0);
    listener.await(2);
    assertFailedAsStock(B);
  }

  /** A daemon that does not come back is waited for once. */
  @Test
  void patienceEnds() throws Exception {
    AtomicLong clock = new AtomicLong();
    SecondFetch second = new SecondFetch(peers(), this::asked, workers.again, PATIENCE_MS, clock::get);
    second.failures(stock(null)).accept(A, new IOException("netty failed"));
    bridge.next().fail(Reason.REASON_PEER_UNREACHABLE, 0);
    FakeBridge.Call late = bridge.next();
    clock.addAndGet(PATIENCE_MS * 1_000_000);
    late.fail(Reason.REASON_PEER_UNREACHABLE, 0);
    listener.await(1);
    assertFailedAsStock(A);

    second.failures(stock(null)).accept(B, new IOException("netty failed"));
    bridge.next().fail(Reason.REASON_PEER_UNREACHABLE, 0);
    listener.await(2);
    assertFailedAsStock(B);

    endpoint = daemon(2);
    listener.results.clear();
    second.failures(stock(null)).accept(A, new IOException("netty failed"));
    bridge.next().fail(Reason.REASON_PEER_UNREACHABLE, 0);
    deliver(A);
    listener.await(1);
    assertArrayEquals(bytes("by weft " + A), listener.bytes(A));
  }

  /** The driver answers once for all that wait for one daemon, and others leave that alone all the while. */
  @Test
  void theDirectoryIsAskedOnceForAllThatFailTogether() throws Exception {
    AtomicLong asked = new AtomicLong();
    PeerCache peers =
        new PeerCache(
            executor -> {
              asked.incrementAndGet();
              return CompletableFuture.completedFuture(daemon(1));
            },
            PATIENCE_MS, System::nanoTime);
    peers.avoid("2");
    SecondFetch second = new SecondFetch(peers, this::asked, workers.again, PATIENCE_MS, System::nanoTime);
    second.failures(stock(null)).accept(A, new IOException("netty failed"));
    second.failures(stock(null)).accept(B, new IOException("netty failed"));
    for (int round = 1; round <= 2; round++) {
      FakeBridge.Call one = bridge.next();
      FakeBridge.Call other = bridge.next();
      assertEquals(round, asked.get());
      one.fail(Reason.REASON_PEER_UNREACHABLE, 0);
      other.fail(Reason.REASON_PEER_UNREACHABLE, 0);
    }
    deliver(A, B);
    listener.await(2);
    assertEquals(3, asked.get());
    assertNull(peers.find("2").join(), "it is left alone by others");
  }

  private void asked(StockFetch fetch, String[] names, Endpoint peer, Undelivered undelivered) {
    bridge.fetch(
        new weft.bridge.FetchRequest(peer, fetch.executor, new weft.bridge.BlockNames(names), true),
        new PieceSink(fetch, names, workers.downloads, HeapTarget::new, undelivered));
  }

  /** A client that tells of a failure twice has it asked for once. */
  @Test
  void eachBlockIsAskedForOnce() throws Exception {
    SecondFetch second = new SecondFetch(peers(), this::asked, workers.again, PATIENCE_MS, System::nanoTime);
    java.util.function.BiConsumer<String, Throwable> failures = second.failures(stock(null));
    failures.accept(A, new IOException("netty failed"));
    deliver(A);
    listener.await(1);
    failures.accept(A, new IOException("netty failed"));
    failures.accept(B, new IOException("netty failed"));
    FakeBridge.Call call = bridge.next();
    assertEquals(1, call.request.blocks.count());
    assertEquals(B, call.request.blocks.name(0));
    call.fail(Reason.REASON_NOT_FOUND, 0);
    listener.await(2);
  }

  /** A listener that throws keeps no other block from its end. */
  @Test
  void aFailingListenerIsAloneWithIt() throws Exception {
    StockFetch fetch =
        new StockFetch(
            stock, "h", 1, "2",
            new BlockFetchingListener() {
              @Override
              public void onBlockFetchSuccess(String block, ManagedBuffer data) {
                throw new IllegalStateException("the task has ended");
              }

              @Override
              public void onBlockFetchFailure(String block, Throwable cause) {
                listener.onBlockFetchFailure(block, cause);
                throw new IllegalStateException("the task has ended");
              }
            },
            null, traffic);
    SecondFetch second = new SecondFetch(peers(), this::asked, workers.again, PATIENCE_MS, System::nanoTime);
    java.util.function.BiConsumer<String, Throwable> failures = second.failures(fetch);
    failures.accept(A, new IOException("netty failed"));
    failures.accept(B, new IOException("netty failed"));
    for (int ended = 0; ended < 2; ) {
      FakeBridge.Call call = bridge.next();
      int[] all = java.util.stream.IntStream.range(0, call.request.blocks.count()).toArray();
      call.fail(Reason.REASON_NOT_FOUND, all);
      ended += all.length;
    }
    listener.await(2);
  }

  /** The reader gets an array of its own. */
  @Test
  void itComesIntoTheHeap() throws Exception {
    fetch(fetcher(PATIENCE_MS), null, A);
    bridge.next().fail(Reason.REASON_TOO_LARGE, 0);
    deliver(A);
    listener.await(1);
    ByteBuffer view = ((ManagedBuffer) listener.results.get(A)).nioByteBuffer();
    assertTrue(view.hasArray());
    assertEquals(0, bridge.shares.out());
  }
}
