package weft.bridge;

import io.netty.channel.EventLoopGroup;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollEventLoopGroup;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import weft.conf.Settings;
import weft.proto.BlockProto.Reason;
import weft.proto.BridgeProto.Hello;
import weft.proto.BridgeProto.ToDaemon;
import weft.proto.BridgeProto.UnregisterShuffle;

/**
 * The executor's way to its node's daemon: one session, opened on demand and again whenever it was lost. Thread-safe.
 */
public final class Bridge implements AutoCloseable {
  /** Bit of the features in Hello and Welcome: the executor's map outputs are kept after the session's end. */
  public static final long OUTLIVE = 1;

  /**
   * Bit of the features in Hello and Welcome: the application's blocks are encrypted between daemons. A daemon that does not promise it is not
   * used: blocks fail with ENCRYPTED then, as long as there is no other.
   */
  public static final long ENCRYPT = 2;

  /** A daemon that lets a fetch time out by more than this is hung. */
  private static final long PATIENCE_MS = 5000;

  /** Where the files of a map output are. */
  public interface Files {
    String data(int shuffle, long map);

    String index(int shuffle, long map);
  }

  private final EventLoopGroup loop;
  private final MapOutputs outputs;
  private final FallbackReports reports = new FallbackReports();
  private final LeakDetector leaks = new LeakDetector();
  private final Supervisor supervisor;

  /**
   * @param hello who this executor is; asked for when the session is opened
   * @param workers run the daemon's questions to {@code source}
   * @param launcher called when no daemon answers; see {@link Launcher}
   * @param listener told of sessions, on the bridge's own thread
   */
  public Bridge(
      Settings settings,
      HelloSource hello,
      BlockSource source,
      Files files,
      Executor workers,
      Launcher launcher,
      SessionListener listener) {
    this(settings, PATIENCE_MS, hello, source, files, workers, launcher, listener);
  }

  Bridge(
      Settings settings,
      long patienceMs,
      HelloSource hello,
      BlockSource source,
      Files files,
      Executor workers,
      Launcher launcher,
      SessionListener listener) {
    Epoll.ensureAvailability();
    this.loop = new EpollEventLoopGroup(1, new DefaultThreadFactory("weft-bridge", true));
    this.outputs = new MapOutputs(files);
    Dialer dialer =
        new Dialer(
            loop,
            settings.socketDir.resolve("weft-v1.sock"),
            settings.fetchTimeoutMs,
            patienceMs,
            source,
            workers,
            leaks);
    this.supervisor =
        new Supervisor(dialer, hello, launcher, settings.connectTimeoutMs, this::greet, listener);
  }

  /** Who this executor is. */
  public interface HelloSource {
    Hello hello();
  }

  /** Opens the session if nobody has yet. Completes when the first attempt has succeeded (true) or not. */
  public CompletableFuture<Boolean> open() {
    return supervisor.open();
  }

  /**
   * Fetches blocks; opens the session if nobody has yet. Where there is no session, every block fails with DAEMON_GONE at once
   * (while the first is being opened: when that fails), or with ENCRYPTED where the daemon does not do that and would have to.
   *
   * @return cancels the fetch: what was not delivered then fails with CANCELLED
   */
  public Runnable fetch(FetchRequest request, FetchSink sink) {
    Session session = supervisor.session();
    if (session != null) {
      return session.fetch(request, sink);
    }
    CompletableFuture<Runnable> begun =
        open()
            .thenApply(
                opened -> {
                  Session now = supervisor.session();
                  if (now != null) {
                    return now.fetch(request, sink);
                  }
                  sink.failed(
                      IntStream.range(0, request.blocks.count()).toArray(),
                      supervisor.reason(),
                      supervisor.trouble());
                  return () -> {};
                });
    return () -> begun.thenAccept(Runnable::run);
  }

  /** Tells the daemon, now and at the beginning of every further session, of a committed map output. */
  public void registerMapOutput(int shuffle, long map, int numPartitions) {
    send(outputs.add(shuffle, map, numPartitions));
  }

  public void unregisterShuffle(int shuffle) {
    outputs.remove(shuffle);
    send(
        ToDaemon.newBuilder()
            .setUnregisterShuffle(UnregisterShuffle.newBuilder().setShuffleId(shuffle))
            .build());
  }

  /** Counts blocks that went another way, and the bytes that came that way; either may be 0. */
  public void reportFallback(Reason reason, long blocks, long bytes) {
    reports.add(reason, blocks, bytes);
    Session session = supervisor.session();
    if (session != null) {
      reports.take().forEach(session::send);
    }
  }

  /** Leases of which this JVM holds a share in the present session. */
  public int leasesOut() {
    Session session = supervisor.session();
    return session == null ? 0 : session.leasesOut();
  }

  /** Blocks that were lost without having been released. */
  public long leaks() {
    return leaks.leaks();
  }

  /** Ends the session and gives the loop up. Blocks delivered before stay readable until they are released. */
  @Override
  public void close() {
    supervisor.close();
    loop.shutdownGracefully(0, 1, TimeUnit.SECONDS);
  }

  private void greet(Session session) {
    outputs.frames().forEach(session::send);
    reports.take().forEach(session::send);
  }

  private void send(ToDaemon frame) {
    Session session = supervisor.session();
    if (session != null) {
      session.send(frame);
    }
  }
}
