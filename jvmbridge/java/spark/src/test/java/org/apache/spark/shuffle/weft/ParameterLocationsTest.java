package org.apache.spark.shuffle.weft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import org.apache.spark.SparkConf;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.network.util.MapConfigProvider;
import org.apache.spark.network.util.TransportConf;
import org.apache.spark.rpc.RpcAddress;
import org.apache.spark.rpc.RpcEndpointRef;
import org.apache.spark.rpc.RpcTimeout;
import org.apache.spark.storage.BlockId;
import org.apache.spark.storage.BlockManagerId;
import org.apache.spark.storage.BlockManagerMessages.BlockLocationsAndStatus;
import org.apache.spark.storage.BlockManagerMessages.GetLocationsAndStatus;
import org.apache.spark.storage.BlockManagerMessages.UpdateBlockInfo;
import org.apache.spark.storage.BlockStatus;
import org.apache.spark.storage.StorageLevel;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import scala.Option;
import scala.Some;
import scala.collection.JavaConverters;
import scala.concurrent.Future;
import scala.reflect.ClassTag;
import weft.peers.Endpoint;
import weft.peers.PeerCache;
import weft.proto.BlockProto.Reason;

@Timeout(30)
class ParameterLocationsTest {
  private static final String WEIGHTS = "test_0weightBytes1";
  private static final String GRADIENTS = "test_12_0gradientBytes1";

  private final Driver driver = new Driver();
  private final Map<String, Object> local = new HashMap<>();
  private final Traffic traffic = new Traffic((reason, blocks, bytes) -> {});
  private final ParameterLocations locations =
      new ParameterLocations(driver, driver, new SparkConf(false), block -> Option.apply(local.get(block.name())), traffic);

  private Option<BlockLocationsAndStatus> ask(String name) {
    return locations.getLocationsAndStatus(BlockId.apply(name), "h");
  }

  private void checkLookups(int atDriver, int here) {
    String lookups = "parameter_lookups_driver=" + atDriver + " parameter_lookups_cached=" + here + " parameter_fetch_us=";
    assertEquals(lookups, traffic.lookups().replaceFirst("[0-9]+$", ""));
  }

  @Test
  void theDriverIsAskedOncePerParameterBlock() {
    driver.has(WEIGHTS, at("1"));
    driver.has(GRADIENTS, at("2"));
    for (int i = 0; i < 3; i++) {
      assertEquals(at("1"), ask(WEIGHTS).get().locations().apply(0));
      assertEquals(at("2"), ask(GRADIENTS).get().locations().apply(0));
    }
    assertEquals(Arrays.asList(WEIGHTS, GRADIENTS), driver.asked);
    checkLookups(2, 4);
  }

  @Test
  void otherBlocksAreAskedForEachTime() {
    String[] others = {
      "rdd_1_1", "broadcast_1_piece0", "test_0weights1", "test_0gradients1", "test_gradientBytes1", "test_weightBytes1",
      "test_0weightBytes", "test_0gradientBytes1", "test_xweightBytes1", "test_0weightBytes1x"
    };
    for (String other : others) {
      driver.has(other, at("1"));
      assertSame(ask(other).get(), ask(other).get());
    }
    assertEquals(2 * others.length, driver.asked.size());
    checkLookups(0, 0);
  }

  @Test
  void onlyADefinedAnswerWithOneExecutorIsKept() {
    assertTrue(ask(WEIGHTS).isEmpty());
    driver.has(WEIGHTS, at("1"), at("2"));
    assertEquals(2, ask(WEIGHTS).get().locations().size());
    driver.hasOnDisk(WEIGHTS, at("1"));
    assertTrue(ask(WEIGHTS).get().localDirs().isDefined());
    driver.has(WEIGHTS, at("1"));
    ask(WEIGHTS);
    ask(WEIGHTS);
    checkLookups(4, 1);
  }

  @Test
  void aFailureHasTheDriverAskedAgain() {
    driver.has(WEIGHTS, at("1"));
    driver.has(GRADIENTS, at("1"));
    ask(WEIGHTS);
    ask(GRADIENTS);
    driver.has(WEIGHTS, at("2"));
    locations.forget(WEIGHTS);
    assertEquals(at("2"), ask(WEIGHTS).get().locations().apply(0));
    ask(GRADIENTS);
    checkLookups(3, 1);
  }

  private void put(String name) {
    assertTrue(locations.updateBlockInfo(at("0"), BlockId.apply(name), StorageLevel.MEMORY_ONLY(), 1, 0));
    assertEquals(name, driver.updated.get(driver.updated.size() - 1));
  }

  @Test
  void allIsForgottenWhenThisExecutorPutsASliceOfTheWeights() {
    driver.has(WEIGHTS, at("1"));
    ask(WEIGHTS);
    put("test_0weightBytes0");
    ask(WEIGHTS);
    checkLookups(2, 0);
    put(GRADIENTS);
    put("broadcast_1_piece0");
    put("rdd_7_0");
    ask(WEIGHTS);
    checkLookups(2, 1);
  }

  @Test
  void allIsForgottenWhenBigDLHasLaidOutItsParametersAnew() {
    local.put("test_0weights0", "first");
    put("test_0weightBytes0");
    driver.has(WEIGHTS, at("1"));
    ask(WEIGHTS);
    put("rdd_7_0");
    ask(WEIGHTS);
    checkLookups(1, 1);
    local.put("test_0weights0", "second");
    put("rdd_9_0");
    ask(WEIGHTS);
    put("rdd_10_0");
    ask(WEIGHTS);
    checkLookups(2, 2);
    local.clear();
    put("rdd_11_0");
    ask(WEIGHTS);
    checkLookups(3, 2);
  }

  @Test
  void anAnswerThatWasOvertakenIsNotKept() {
    driver.has(WEIGHTS, at("1"));
    driver.meanwhile = () -> put("test_0weightBytes0");
    ask(WEIGHTS);
    driver.meanwhile = () -> {};
    ask(WEIGHTS);
    checkLookups(2, 0);
  }

  @Test
  void whoHasItNow() {
    driver.has(WEIGHTS, at("1"));
    ask(WEIGHTS);
    assertNull(locations.moved(WEIGHTS, "1", "h"), "still there");
    driver.has(WEIGHTS, at("3"));
    assertEquals(at("3"), locations.moved(WEIGHTS, "1", "h"));
    assertEquals(at("3"), ask(WEIGHTS).get().locations().apply(0));
    driver.has(WEIGHTS, at("3"), at("1"));
    assertNull(locations.moved(WEIGHTS, "1", "h"), "there as well");
    driver.blocks.clear();
    assertThrows(IllegalStateException.class, () -> locations.moved(WEIGHTS, "1", "h"));
    int before = driver.asked.size();
    assertNull(locations.moved("rdd_1_1", "1", "h"));
    assertEquals(before, driver.asked.size(), "of other blocks Spark has just asked");
  }

  // ---- fetches

  private final FakeBridge bridge = new FakeBridge();
  private final FakeStock stock = new FakeStock();

  private FutureTask<ManagedBuffer> fetch(String executor) {
    Endpoint peer = new Endpoint(new String[] {"10.0.0.2"}, 7400, new byte[16]);
    Fetcher fetcher =
        new Fetcher(
            new PeerCache(e -> CompletableFuture.completedFuture(peer), 60_000, System::nanoTime),
            bridge::fetch,
            traffic,
            new Workers(),
            new TransportConf("shuffle", new MapConfigProvider(Collections.emptyMap())),
            -1);
    FutureTask<ManagedBuffer> task =
        new FutureTask<>(() -> new SyncFetch(fetcher, stock, locations, "h1", 1, executor).run(WEIGHTS, null));
    new Thread(task).start();
    return task;
  }

  @Test
  void aBlockThatMovedComesByWeftFromWhoHasItNow() throws Exception {
    driver.has(WEIGHTS, at("1"));
    ask(WEIGHTS);
    driver.has(WEIGHTS, at("3"));
    FutureTask<ManagedBuffer> task = fetch("1");
    bridge.next().fail(Reason.REASON_OWNER_GONE, 0);
    FakeBridge.Call second = bridge.next();
    assertEquals("3", second.request.executor);
    second.pieces(0, new byte[5], 5, 0);
    assertEquals(5, task.get().size());
    assertEquals(Collections.emptyList(), stock.fetched());
    assertEquals(at("3"), ask(WEIGHTS).get().locations().apply(0));
  }

  @Test
  void aBlockThatIsStillThereComesByNettyAndIsForgottenWhereThatFails() throws Exception {
    driver.has(WEIGHTS, at("1"));
    ask(WEIGHTS);
    FutureTask<ManagedBuffer> task = fetch("1");
    bridge.next().fail(Reason.REASON_TIMEOUT, 0);
    assertEquals(WEIGHTS.length(), task.get().size());
    ask(WEIGHTS);
    checkLookups(2, 1);

    stock.failing.add(WEIGHTS);
    FutureTask<ManagedBuffer> failing = fetch("1");
    bridge.next().fail(Reason.REASON_TIMEOUT, 0);
    assertThrows(ExecutionException.class, failing::get);
    ask(WEIGHTS);
    checkLookups(4, 1);
  }

  @Test
  void whatFetchesOfParameterBlocksTakeIsCounted() throws Exception {
    driver.has(WEIGHTS, at("1"));
    FutureTask<ManagedBuffer> task = fetch("1");
    FakeBridge.Call call = bridge.next(); // the fetch is under way
    Thread.sleep(2);
    call.pieces(0, new byte[5], 5, 0);
    task.get();
    long micros = Long.parseLong(traffic.lookups().replaceFirst(".*=", ""));
    assertTrue(micros >= 2000, micros + " us");
  }

  @Test
  void aBlockThatIsGoneIsNotWaitedFor() throws Exception {
    driver.has(WEIGHTS, at("1"));
    ask(WEIGHTS);
    driver.blocks.clear();
    FutureTask<ManagedBuffer> task = fetch("1");
    bridge.next().fail(Reason.REASON_PEER_UNREACHABLE, 0);
    ExecutionException e = assertThrows(ExecutionException.class, task::get);
    assertEquals("executor 1 had " + WEIGHTS + ", and nobody has it now", e.getCause().getMessage());
    assertEquals(Collections.emptyList(), stock.fetched());
  }

  private static BlockManagerId at(String executor) {
    return BlockManagerId.apply(executor, "h" + executor, 7000, Option.empty());
  }

  /** Answers as the driver's BlockManagerMasterEndpoint. */
  private static final class Driver extends RpcEndpointRef {
    final Map<String, BlockLocationsAndStatus> blocks = new HashMap<>();
    final List<String> asked = new ArrayList<>();
    final List<String> updated = new ArrayList<>();
    Runnable meanwhile = () -> {};

    Driver() {
      super(new SparkConf(false));
    }

    void has(String name, BlockManagerId... executors) {
      put(name, Option.empty(), executors);
    }

    void hasOnDisk(String name, BlockManagerId executor) {
      put(name, Some.apply(new String[] {"/tmp"}), executor);
    }

    private void put(String name, Option<String[]> dirs, BlockManagerId... executors) {
      BlockStatus status = new BlockStatus(StorageLevel.MEMORY_ONLY_SER(), 10, 0);
      blocks.put(
          name,
          new BlockLocationsAndStatus(
              JavaConverters.asScalaBuffer(Arrays.asList(executors)).toSeq(), status, dirs));
    }

    @Override
    @SuppressWarnings("unchecked")
    public synchronized <T> Future<T> ask(Object message, RpcTimeout timeout, ClassTag<T> tag) {
      if (message instanceof UpdateBlockInfo) {
        updated.add(((UpdateBlockInfo) message).blockId().name());
        return (Future<T>) Future.successful(true);
      }
      String name = ((GetLocationsAndStatus) message).blockId().name();
      asked.add(name);
      Object answer = Option.apply(blocks.get(name));
      meanwhile.run();
      return (Future<T>) Future.successful(answer);
    }

    @Override
    public RpcAddress address() {
      return new RpcAddress("driver", 1);
    }

    @Override
    public String name() {
      return "driver";
    }

    @Override
    public void send(Object message) {
      throw new UnsupportedOperationException();
    }
  }
}
