package org.apache.spark.shuffle.weft;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.codahale.metrics.MetricRegistry;
import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import org.apache.spark.network.buffer.FileSegmentManagedBuffer;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.network.util.MapConfigProvider;
import org.apache.spark.network.util.TransportConf;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import weft.peers.Endpoint;
import weft.peers.PeerCache;
import weft.proto.BlockProto.Reason;

@Timeout(30)
class FetcherTest {
  private static final Endpoint PEER = new Endpoint(new String[] {"10.0.0.2"}, 7400, new byte[16]);
  private static final byte[] A = random(100, 1);
  private static final byte[] B = random(3000, 2);

  @TempDir File dir;

  private final FakeBridge bridge = new FakeBridge();
  private final FakeStock stock = new FakeStock();
  private final FakeStock.Listener listener = new FakeStock.Listener();
  private final Workers workers = new Workers();
  private final List<String> reports = Collections.synchronizedList(new ArrayList<>());
  private final Traffic traffic =
      new Traffic((reason, blocks, bytes) -> reports.add(Traffic.word(reason) + " " + blocks + " " + bytes));
  private CompletableFuture<Endpoint> endpoint = CompletableFuture.completedFuture(PEER);
  private int lookups;

  private final Fetcher fetcher = fetcher();

  private Fetcher fetcher() {
    PeerCache peers =
        new PeerCache(
            executor -> {
              lookups++;
              return endpoint;
            },
            60_000,
            System::nanoTime);
    TransportConf conf = new TransportConf("shuffle", new MapConfigProvider(Collections.emptyMap()));
    return new Fetcher(peers, bridge::fetch, traffic, workers, conf, -1);
  }

  @AfterEach
  void stop() {
    assertEquals(0, bridge.shares.out(), "every share was given back");
  }

  private void fetch(Fetcher with, FakeStock.Downloads downloads, String... names) {
    with.fetch(new StockFetch(stock, "h", 7337, "2", listener, downloads, traffic), names);
  }

  private void releaseAll() {
    listener.results.values().forEach(r -> ((ManagedBuffer) r).release());
  }

  @Test
  void blocksComeByWeft() throws Exception {
    fetch(fetcher, null, "shuffle_0_0_0", "shuffle_0_1_0");
    FakeBridge.Call call = bridge.next();
    assertEquals("2", call.request.executor);
    assertEquals(PEER, call.request.peer);
    call.deliver(1, B);
    call.deliver(0, A);
    listener.await(2);
    assertArrayEquals(A, listener.bytes("shuffle_0_0_0"));
    assertArrayEquals(B, listener.bytes("shuffle_0_1_0"));
    assertEquals(2, bridge.shares.out(), "the listener retained them");
    releaseAll();
    assertEquals("weft_blocks=2 weft_bytes=3100 netty_blocks=0 netty_bytes=0 fallbacks={}", traffic.summary());
  }

  @Test
  void onlyUndeliveredBlocksGoToNettyAndOnlyItsFailureIsTold() throws Exception {
    stock.failing.add("c");
    fetch(fetcher, null, "a", "b", "c");
    FakeBridge.Call call = bridge.next();
    call.deliver(0, A);
    call.fail(Reason.REASON_PEER_LOST, 1, 2);
    listener.await(3);
    assertEquals(List.of("h:7337 2 [b, c]"), stock.fetched());
    assertArrayEquals("b".getBytes(), listener.bytes("b"));
    assertEquals("netty failed", ((IOException) listener.results.get("c")).getMessage());
    assertEquals(
        "weft_blocks=1 weft_bytes=100 netty_blocks=1 netty_bytes=1 fallbacks={peer_lost=2}", traffic.summary());
    assertEquals(List.of("peer_lost 2 0", "peer_lost 0 1"), reports);
    ((ManagedBuffer) listener.results.get("a")).release();
  }

  @Test
  void aBlockThatNobodyKeepsIsGivenBackAtOnce() throws Exception {
    StockFetch fetch =
        new StockFetch(
            stock, "h", 1, "2",
            new org.apache.spark.network.shuffle.BlockFetchingListener() {
              @Override
              public void onBlockFetchSuccess(String block, ManagedBuffer data) {
                throw new IllegalStateException("the task has ended");
              }

              @Override
              public void onBlockFetchFailure(String block, Throwable cause) {}
            },
            null, traffic);
    fetcher.fetch(fetch, new String[] {"a"});
    bridge.next().deliver(0, A);
    assertEquals(0, bridge.shares.out());
  }

  @Test
  void withoutADaemonOnTheOtherSideNettyIsCalledByTheCaller() throws Exception {
    endpoint = CompletableFuture.completedFuture(null);
    fetch(fetcher, null, "a", "b");
    assertEquals(List.of("h:7337 2 [a, b]"), stock.fetched());
    fetch(fetcher, null, "c");
    assertEquals(1, lookups, "absence is remembered");
    assertEquals("weft_blocks=0 weft_bytes=0 netty_blocks=3 netty_bytes=3 fallbacks={peer_unknown=3}", traffic.summary());
  }

  @Test
  void aFetchWaitsForTheDirectoryWithoutAThread() throws Exception {
    endpoint = new CompletableFuture<>();
    fetch(fetcher, null, "a");
    assertTrue(bridge.calls.isEmpty());
    endpoint.complete(PEER);
    bridge.next().deliver(0, A);
    listener.await(1);
    releaseAll();
  }

  @Test
  void anUnreachablePeerIsLeftAloneAndAFailingOneAskedForAgain() throws Exception {
    fetch(fetcher, null, "a");
    bridge.next().fail(Reason.REASON_CHECKSUM, 0);
    listener.await(1);
    fetch(fetcher, null, "b");
    assertEquals(2, lookups);
    bridge.next().fail(Reason.REASON_NO_SPACE, 0);
    listener.await(2);
    fetch(fetcher, null, "c");
    assertEquals(2, lookups);
    bridge.next().fail(Reason.REASON_PEER_UNREACHABLE, 0);
    listener.await(3);
    fetch(fetcher, null, "d");
    listener.await(4);
    assertEquals(2, lookups);
    assertTrue(bridge.calls.isEmpty());
  }

  @Test
  void whereADaemonDoesNotEncryptBlocksGoByNetty() throws Exception {
    fetch(fetcher, null, "a");
    bridge.next().fail(Reason.REASON_ENCRYPTED, 0);
    listener.await(1);
    FutureTask<ManagedBuffer> task = sync("b", null);
    bridge.next().fail(Reason.REASON_ENCRYPTED, 0);
    assertEquals("b", text(task.get()));
    assertEquals("weft_blocks=0 weft_bytes=0 netty_blocks=2 netty_bytes=2 fallbacks={encrypted=2}", traffic.summary());
  }

  @Test
  void mergedBlocksAreTheShuffleServices() {
    fetch(fetcher, null, "shuffleChunk_0_0_0_0");
    assertEquals(1, stock.fetched().size());
    assertEquals("weft_blocks=0 weft_bytes=0 netty_blocks=1 netty_bytes=20 fallbacks={}", traffic.summary());
  }

  // ---- fetchBlockSync

  private FutureTask<ManagedBuffer> sync(String name, FakeStock.Downloads downloads) {
    FutureTask<ManagedBuffer> task =
        new FutureTask<>(() -> new SyncFetch(fetcher, stock, null, "h", 1, "2").run(name, downloads));
    new Thread(task).start();
    return task;
  }

  @Test
  void aSyncFetchGivesAPrivateWritableArray() throws Exception {
    FutureTask<ManagedBuffer> task = sync("test_1weightBytes0", null);
    FakeBridge.Call call = bridge.next();
    assertTrue(call.request.pieces);
    call.pieces(0, B, 1000, 0);
    ByteBuffer block = task.get().nioByteBuffer();
    assertTrue(block.hasArray());
    assertEquals(0, block.arrayOffset());
    assertEquals(0, block.position());
    assertArrayEquals(B, block.array());
    assertNotSame(B, block.array());
    assertEquals("weft_blocks=1 weft_bytes=3000 netty_blocks=0 netty_bytes=0 fallbacks={}", traffic.summary());
  }

  @Test
  void aSyncFetchOfNothing() throws Exception {
    FutureTask<ManagedBuffer> task = sync("empty", null);
    bridge.next().pieces(0, new byte[0], 1, 0);
    assertEquals(0, task.get().size());
  }

  @Test
  void aSyncFetchFallsBackInTheMiddle() throws Exception {
    FutureTask<ManagedBuffer> task = sync("name", null);
    FakeBridge.Call call = bridge.next();
    call.pieces(0, B, 1000, 500);
    call.fail(Reason.REASON_TIMEOUT, 0);
    assertEquals("name", text(task.get()));
    assertEquals("weft_blocks=0 weft_bytes=0 netty_blocks=1 netty_bytes=4 fallbacks={timeout=1}", traffic.summary());
  }

  @Test
  void anInterruptedSyncFetchIsCancelledAndItsLatePiecesGoBack() throws Exception {
    Throwable[] thrown = new Throwable[1];
    Thread thread =
        new Thread(
            () -> {
              try {
                new SyncFetch(fetcher, stock, null, "h", 1, "2").run("name", null);
              } catch (Throwable e) {
                thrown[0] = e;
              }
            });
    thread.start();
    FakeBridge.Call call = bridge.next();
    thread.interrupt();
    thread.join();
    assertInstanceOf(InterruptedException.class, thrown[0]);
    assertTrue(call.cancelled);
    call.pieces(0, B, 1000, 0);
    assertEquals(List.of(), stock.fetched());
  }

  // ---- download targets

  @Test
  void blocksAreWrittenToTheFilesAskedFor() throws Exception {
    FakeStock.Downloads downloads = new FakeStock.Downloads(dir);
    fetch(fetcher, downloads, "a", "b", "empty");
    FakeBridge.Call call = bridge.next();
    assertTrue(call.request.pieces);
    call.pieces(0, A, 1000, 0);
    call.pieces(1, B, 700, 0);
    call.pieces(2, new byte[0], 1, 0);
    listener.await(3);
    assertInstanceOf(FileSegmentManagedBuffer.class, listener.results.get("b"));
    assertArrayEquals(A, listener.bytes("a"));
    assertArrayEquals(B, listener.bytes("b"));
    assertEquals(0, ((ManagedBuffer) listener.results.get("empty")).size());
    workers.downloads.shutdown();
    assertTrue(workers.downloads.awaitTermination(10, java.util.concurrent.TimeUnit.SECONDS));
    assertEquals(3, downloads.registered.size());
  }

  @Test
  void aTornDownloadLeavesNoFileAndFallsBack() throws Exception {
    FakeStock.Downloads downloads = new FakeStock.Downloads(dir);
    fetch(fetcher, downloads, "a", "b");
    FakeBridge.Call call = bridge.next();
    call.pieces(0, B, 700, 1);
    call.fail(Reason.REASON_PEER_LOST, 0, 1);
    listener.await(2);
    assertEquals(0, dir.list().length);
    assertEquals(List.of("h:7337 2 [a, b]"), stock.fetched());
  }

  /** Each way in which a block can be wanted is counted by what it came by. */
  @Test
  void blocksAreCountedByTransport() throws Exception {
    assertEquals("rdma_blocks=0 rdma_bytes=0 rdma_device=none rdma_software=false", traffic.rdma());
    traffic.daemonHas("rxe0", true);
    fetch(fetcher, null, "a");
    FakeBridge.Call inMemory = bridge.next();
    inMemory.transport = "rdma";
    inMemory.deliver(0, A);
    fetch(fetcher, new FakeStock.Downloads(dir), "b");
    FakeBridge.Call inFile = bridge.next();
    inFile.transport = "rdma";
    inFile.pieces(0, B, 700, 0);
    for (String transport : List.of("rdma", "tcp")) {
      FutureTask<ManagedBuffer> task = sync(transport, null);
      FakeBridge.Call inHeap = bridge.next();
      inHeap.transport = transport;
      inHeap.pieces(0, B, 700, 0);
      assertEquals(B.length, task.get().size());
    }
    listener.await(2);
    assertEquals("rdma_blocks=3 rdma_bytes=6100 rdma_device=rxe0 rdma_software=true", traffic.rdma());
    assertEquals("weft_blocks=4 weft_bytes=9100 netty_blocks=0 netty_bytes=0 fallbacks={}", traffic.summary());
    traffic.daemonHas("", false);
    assertEquals("rdma_blocks=3 rdma_bytes=6100 rdma_device=none rdma_software=false", traffic.rdma());
    assertEquals("tls_blocks=0 tls_bytes=0", traffic.encrypted());
    fetch(fetcher, null, "c");
    FakeBridge.Call encrypted = bridge.next();
    encrypted.transport = "tcp+tls";
    encrypted.deliver(0, A);
    listener.await(3);
    assertEquals("tls_blocks=1 tls_bytes=100", traffic.encrypted());
    assertEquals("weft_blocks=5 weft_bytes=9200 netty_blocks=0 netty_bytes=0 fallbacks={}", traffic.summary());
    releaseAll();
  }

  @Test
  void sparksMetricsSystemShowsTheCounts() throws Exception {
    MetricRegistry registry = new MetricRegistry();
    PluginMetrics.show(registry, traffic.counts());
    PluginMetrics.show(registry, traffic.counts()); // the registry refuses that, which must fail nothing
    fetch(fetcher, null, "a", "b");
    FakeBridge.Call call = bridge.next();
    call.deliver(0, A);
    call.fail(Reason.REASON_PEER_LOST, 1);
    listener.await(2);
    assertEquals("{fallback_blocks.peer_lost=1, netty_blocks=1, netty_bytes=1, weft_blocks=1, weft_bytes=100}", notZero(registry));
    assertTrue(registry.getNames().contains("fallback_blocks.no_space"), "a reason that has not occurred");
    releaseAll();
  }

  private static String notZero(MetricRegistry registry) {
    Map<String, Object> shown = new TreeMap<>();
    registry.getGauges().forEach((name, gauge) -> shown.put(name, gauge.getValue()));
    shown.values().removeIf(Long.valueOf(0)::equals);
    return shown.toString();
  }

  @Test
  void aFileThatCannotBeWrittenFallsBack() throws Exception {
    FakeStock.Downloads downloads = new FakeStock.Downloads(dir);
    downloads.failing = true;
    fetch(fetcher, downloads, "a");
    bridge.next().pieces(0, B, 700, 0);
    listener.await(1);
    assertEquals("weft_blocks=0 weft_bytes=0 netty_blocks=1 netty_bytes=1 fallbacks={internal=1}", traffic.summary());
  }

  @Test
  void aSyncFetchIntoAFile() throws Exception {
    FakeStock.Downloads downloads = new FakeStock.Downloads(dir);
    FutureTask<ManagedBuffer> task = sync("rdd_1_1", downloads);
    bridge.next().pieces(0, B, 1000, 0);
    assertInstanceOf(FileSegmentManagedBuffer.class, task.get());
    assertEquals(B.length, task.get().size());

    stock.failing.add("rdd_1_2");
    FutureTask<ManagedBuffer> failing = sync("rdd_1_2", downloads);
    bridge.next().fail(Reason.REASON_OWNER_GONE, 0);
    ExecutionException e = assertThrows(ExecutionException.class, failing::get);
    assertEquals("netty failed", e.getCause().getMessage());
  }

  private static String text(ManagedBuffer buffer) throws IOException {
    ByteBuffer view = buffer.nioByteBuffer();
    byte[] copy = new byte[view.remaining()];
    view.get(copy);
    return new String(copy);
  }

  private static byte[] random(int n, int seed) {
    byte[] bytes = new byte[n];
    new Random(seed).nextBytes(bytes);
    return bytes;
  }
}
