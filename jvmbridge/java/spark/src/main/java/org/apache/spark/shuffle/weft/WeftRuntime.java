package org.apache.spark.shuffle.weft;

import com.codahale.metrics.MetricRegistry;
import com.google.protobuf.ByteString;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.LongSupplier;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkEnv;
import org.apache.spark.shuffle.IndexShuffleBlockResolver;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import scala.Option;
import weft.bridge.AppToken;
import weft.bridge.Bridge;
import weft.bridge.Launcher;
import weft.bridge.SessionListener;
import weft.conf.Settings;
import weft.daemon.DaemonLauncher;
import weft.peers.Endpoint;
import weft.peers.PeerCache;
import weft.proto.BridgeProto.Hello;

/** Everything of weft in one JVM of one application, put together. */
final class WeftRuntime implements SessionListener {
  private static final Logger LOG = LoggerFactory.getLogger(WeftRuntime.class);
  /** The driver holds a question until the executor asked for has opened its session, or failed to. */
  private static final long DIRECTORY_EXTRA_MS = 5000;

  private final SparkEnv env;
  private final Settings settings;
  private final Workers workers = new Workers();
  private final AtomicBoolean stopped = new AtomicBoolean();
  private final Thread lateSummary = new Thread(this::summariseLate, "weft-summary");
  private final Fetcher fetcher;
  private final Bridge bridge;
  private final Directory directory;

  WeftRuntime(SparkEnv env, Settings settings) {
    this.env = env;
    this.settings = settings;
    this.bridge = newBridge();
    this.directory = newDirectory();
    Traffic traffic = new Traffic(bridge::reportFallback);
    this.fetcher =
        new Fetcher(
            new PeerCache(this::lookup, settings.peerRetryMs, System::nanoTime),
            bridge::fetch,
            traffic,
            workers,
            SparkSettings.transportConf(env.conf()),
            Outliving.isOn(env.conf()) ? settings.connectTimeoutMs : -1);
    if (!isDriver()) {
      try {
        directory.join(); // before any of this executor's blocks can be asked for
      } catch (Throwable e) { // Spark's RPC throws checked exceptions, too
        bridge.close();
        throw e;
      }
      bridge.open();
    }
    Runtime.getRuntime().addShutdownHook(lateSummary);
  }

  Fetcher fetcher() {
    return fetcher;
  }

  /** Whether this JVM is to keep where parameter blocks are: where weft fetches them, and notices when they are gone. */
  boolean keepsLocations() {
    return settings.keepsLocations && !isDriver();
  }

  private boolean isDriver() {
    return env.executorId().equals(DirectoryEndpoint.DRIVER);
  }

  private Bridge newBridge() {
    Launcher launcher = settings.startsDaemon ? new DaemonLauncher(settings) : Launcher.NONE;
    return new Bridge(
        settings,
        this::hello,
        new LocalBlocks(env.blockManager()),
        new ShuffleFiles(),
        workers.upcalls,
        launcher,
        this);
  }

  private Directory newDirectory() {
    long timeoutMs = settings.connectTimeoutMs + DIRECTORY_EXTRA_MS;
    return isDriver()
        ? new DriverDirectory(env.rpcEnv(), () -> bridge.open(), this::leftNothing, timeoutMs)
        : new DirectoryClient(env.conf(), env.rpcEnv(), env.executorId(), timeoutMs);
  }

  /** Spark was promised that map outputs outlive their executors: those of this one do not. */
  private void leftNothing(String executor) {
    if (Outliving.isOn(env.conf())) {
      LOG.info("weft: no daemon has what executor {} left; Spark is told that its map outputs are lost", executor);
      Outliving.forget(env, executor);
    }
  }

  private Hello hello() {
    SparkConf conf = env.conf();
    List<String> dirs = new ArrayList<>();
    for (java.io.File dir : env.blockManager().diskBlockManager().localDirs()) {
      dirs.add(dir.getAbsolutePath());
    }
    Hello.Builder hello = Hello.newBuilder().setFeatures(SparkSettings.isEncrypted(conf) ? Bridge.ENCRYPT : 0);
    if (Outliving.isOn(conf) && !isDriver()) {
      hello.setFeatures(hello.getFeatures() | Bridge.OUTLIVE).setDriverAddress(SparkSettings.driverAddress(conf));
    }
    return hello
        .setVersion(1)
        .setAppId(conf.getAppId())
        .setAppToken(ByteString.copyFrom(AppToken.derive(directory.join(), SparkSettings.secret(env), conf.getAppId())))
        .setExecutorId(env.executorId())
        .addAllLocalDirs(dirs)
        .setSoftwareVersion("weft-spark " + WeftRuntime.class.getPackage().getImplementationVersion())
        .build();
  }

  private CompletableFuture<Endpoint> lookup(String executor) {
    CompletableFuture<Endpoint> answer = new CompletableFuture<>();
    workers.directory.execute(
        () -> {
          try {
            answer.complete(directory.lookup(executor));
          } catch (Exception e) {
            LOG.debug("weft: no answer from the directory about executor {}", executor, e);
            answer.complete(null);
          }
        });
    return answer;
  }

  // ---- map outputs

  void committed(int shuffle, long map, int partitions) {
    if (!SparkSettings.reusesMapIds(env.conf())) {
      bridge.registerMapOutput(shuffle, map, partitions);
    }
  }

  void unregister(int shuffle) {
    if (directory instanceof DriverDirectory) {
      ((DriverDirectory) directory).end(shuffle);
    }
    bridge.unregisterShuffle(shuffle);
  }

  private final class ShuffleFiles implements Bridge.Files {
    @Override
    public String data(int shuffle, long map) {
      return resolver().getDataFile(shuffle, map).getAbsolutePath();
    }

    @Override
    public String index(int shuffle, long map) {
      return resolver().getIndexFile(shuffle, map, Option.empty()).getAbsolutePath();
    }

    private IndexShuffleBlockResolver resolver() {
      return (IndexShuffleBlockResolver) env.shuffleManager().shuffleBlockResolver();
    }
  }

  // ---- sessions

  @Override
  public void opened(
      List<String> addresses,
      int port,
      byte[] daemonId,
      String device,
      boolean software,
      boolean keeps,
      List<String> takenOver) {
    fetcher.traffic().daemonHas(device, software);
    String[] at =
        addresses.isEmpty()
            ? new String[] {env.blockManager().blockTransferService().hostName()}
            : addresses.toArray(new String[0]);
    Endpoint endpoint = new Endpoint(at, port, daemonId);
    LOG.info("weft: executor {} has a session with its daemon in {}, peers reach that at {}", env.executorId(), settings.socketDir, endpoint);
    if (!keeps && Outliving.isOn(env.conf()) && !isDriver()) {
      LOG.warn("weft: this node's daemon does not keep map outputs after their executor's end: then their tasks run again. Its log has the reason");
    }
    directory.announce(endpoint, keeps, takenOver);
    if (keeps) {
      directory.ended().stream().forEach(bridge::unregisterShuffle); // nobody may have told this daemon, for lack of an executor here
    }
  }

  @Override
  public void lost(String cause) {
    LOG.warn("weft: the session with this node's daemon ended: {}. Blocks go by Spark's own transfer service until it is"
        + " open again", cause);
    directory.withdraw();
  }

  @Override
  public void failed(String cause) {
    LOG.warn("weft: no session with this node's daemon: {}. Blocks go by Spark's own transfer service; it is tried again in"
        + " the background. {}", cause, settings.startsDaemon
            ? "See the daemon's log, and what `weft doctor` says on this node"
            : "See that `weft daemon` runs on this node and has the same spark.weft.socket.dir, and what `weft doctor` says there");
    directory.withdraw();
  }

  // ---- the end

  /** What this JVM's blocks came by so far. */
  String figures() {
    return String.format(
        "executor=%s %s leases=%d leaks=%d %s %s %s",
        env.executorId(),
        fetcher.traffic().summary(),
        bridge.leasesOut(),
        bridge.leaks(),
        fetcher.traffic().lookups(),
        fetcher.traffic().rdma(),
        fetcher.traffic().encrypted());
  }

  /** Has Spark's metrics system show these figures, by a plugin's registry. */
  void show(MetricRegistry registry) {
    Map<String, LongSupplier> all = fetcher.traffic().counts();
    all.put("leases", bridge::leasesOut);
    all.put("leaks", bridge::leaks);
    PluginMetrics.show(registry, all);
  }

  private String summary() {
    return "weft: summary " + figures();
  }

  /** For a JVM that is ended by a signal: its log may be closed already, as the hooks run in any order. */
  private void summariseLate() {
    if (stopped.compareAndSet(false, true)) {
      System.err.println(summary());
    }
  }

  void stop() {
    if (stopped.compareAndSet(false, true)) {
      if (removeLateSummary()) {
        LOG.info(summary());
      } else {
        System.err.println(summary());
      }
    }
    fetcher.close();
    bridge.close();
  }

  /** False when the JVM is ending. */
  private boolean removeLateSummary() {
    try {
      return Runtime.getRuntime().removeShutdownHook(lateSummary);
    } catch (IllegalStateException e) {
      return false;
    }
  }
}
