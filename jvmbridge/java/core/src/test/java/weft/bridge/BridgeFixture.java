package weft.bridge;

import com.google.protobuf.ByteString;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import weft.conf.Settings;
import weft.peers.Endpoint;
import weft.proto.BridgeProto.Delivered;
import weft.proto.BridgeProto.Hello;
import weft.proto.BridgeProto.ToJvm;

/** A bridge and a fake daemon on a socket of their own. */
final class BridgeFixture implements AutoCloseable {
  static final Endpoint PEER = new Endpoint(new String[] {"10.0.0.2"}, 7400, new byte[16]);

  final Path dir;
  final FakeDaemon daemon;
  final Bridge bridge;
  final Map<String, String> conf = new HashMap<>();
  final BlockingQueue<String> told = new LinkedBlockingQueue<>();
  volatile long features; // of Hello
  volatile Runnable announcing = () -> {}; // what the listener does when a session opens
  final ExecutorService workers = Executors.newFixedThreadPool(2);

  BridgeFixture() throws Exception {
    this(name -> { throw new BlockSource.NotFound(name, null); }, 5000, "10s");
  }

  BridgeFixture(BlockSource source, long patienceMs, String connectTimeout) throws Exception {
    dir = Files.createTempDirectory("weft-test");
    daemon = new FakeDaemon(dir.resolve("weft-v1.sock"));
    conf.put("spark.weft.socket.dir", dir.toString());
    conf.put("spark.weft.connect.timeout", connectTimeout);
    conf.put("spark.weft.fetch.timeout", "200ms");
    bridge =
        new Bridge(
            Settings.of(conf, new HashMap<>()),
            patienceMs,
            () -> Hello.newBuilder().setVersion(1).setFeatures(features).setAppId("app").setExecutorId("1").build(),
            source,
            new Bridge.Files() {
              @Override
              public String data(int shuffle, long map) {
                return "/d/" + shuffle + "_" + map + ".data";
              }

              @Override
              public String index(int shuffle, long map) {
                return "/d/" + shuffle + "_" + map + ".index";
              }
            },
            workers,
            Launcher.NONE,
            new SessionListener() {
              @Override
              public void opened(
                  List<String> addresses,
                  int port,
                  byte[] daemonId,
                  String device,
                  boolean software,
                  boolean keeps,
                  List<String> takenOver) {
                told.add("opened " + addresses + ":" + port + " " + device + " " + software + " " + takenOver);
                announcing.run();
              }

              @Override
              public void lost(String cause) {
                told.add("lost");
              }

              @Override
              public void failed(String cause) {
                told.add("failed " + cause);
              }
            });
  }

  BridgeFixture open() throws Exception {
    bridge.open();
    daemon.awaitSession();
    if (!bridge.open().get(10, TimeUnit.SECONDS)) {
      throw new AssertionError("no session: " + told);
    }
    return this;
  }

  String told() throws InterruptedException {
    String event = told.poll(10, TimeUnit.SECONDS);
    if (event == null) {
      throw new AssertionError("nothing was told");
    }
    return event;
  }

  RecordingSink fetch(boolean pieces, String... names) {
    RecordingSink sink = new RecordingSink(names.length);
    bridge.fetch(new FetchRequest(PEER, "2", new BlockNames(names), pieces), sink);
    return sink;
  }

  /** A Delivered frame with one entry for each {block, offset, length}. */
  static ToJvm.Builder delivered(long request, long lease, int segment, long[]... entries) {
    Delivered.Builder frame =
        Delivered.newBuilder().setRequestId(request).setLease(lease).setSegment(segment).setTransport("mem");
    for (long[] entry : entries) {
      frame.addBlock((int) entry[0]).addOffset(entry[1]).addLength(entry[2]);
    }
    return ToJvm.newBuilder().setDelivered(frame);
  }

  static ToJvm.Builder piece(
      long request, long lease, int segment, int block, long at, long length, long offset, long total) {
    ToJvm.Builder frame = delivered(request, lease, segment, new long[] {block, at, length});
    return frame.setDelivered(
        frame.getDelivered().toBuilder().setPieceOffset(offset).setBlockLength(total));
  }

  /** A Delivered frame with the one block of a request inside. */
  static ToJvm.Builder inside(long request, byte[] block) {
    ToJvm.Builder frame = piece(request, 0, 0, 0, 0, block.length, 0, block.length);
    return frame.setDelivered(frame.getDelivered().toBuilder().setInline(ByteString.copyFrom(block)));
  }

  static byte[] pattern(int length, int seed) {
    byte[] bytes = new byte[length];
    new java.util.Random(seed).nextBytes(bytes);
    return bytes;
  }

  @Override
  public void close() throws IOException {
    bridge.close();
    daemon.close();
    workers.shutdownNow();
    try (java.util.stream.Stream<Path> files = Files.list(dir)) {
      files.forEach(f -> f.toFile().delete());
    }
    Files.delete(dir);
  }
}
