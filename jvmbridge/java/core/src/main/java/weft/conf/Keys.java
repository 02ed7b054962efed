package weft.conf;

import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** Every key that the JVM side reads. Other keys {@code spark.weft.*} are the daemon's. */
public final class Keys {
  public static final Key<Boolean> ENABLED =
      Key.flag("enabled", true, "false: weft does nothing at all, every block goes Spark's own way.");

  public static final Key<String> DAEMON_MODE =
      Key.choice(
          "daemon.mode",
          "auto: the first executor on a node starts the daemon from the binary in the jar, and it leaves `spark.weft.daemon.grace`"
              + " after the last executor. external: it runs as a service; executors only connect.",
          "auto",
          "external");

  public static final Key<Long> DAEMON_GRACE =
      Key.time(
          "daemon.grace",
          "10s",
          "Mode auto: how long the daemon stays when the last executor has gone.");

  public static final Key<String> SOCKET_DIR =
      Key.text(
          "socket.dir",
          "path",
          "",
          "Directory of the daemon's sockets, absolute, the same on every node. Empty: `$XDG_RUNTIME_DIR/weft`, or `weft-<uid>` in"
              + " `$TMPDIR` or `/tmp`. It must belong to the executor's user and have mode 0700 (mode external: be accessible).");

  public static final Key<Long> CONNECT_TIMEOUT =
      Key.time(
          "connect.timeout",
          "20s",
          "How long an executor tries to reach its daemon at first (starting it, in mode auto), and how long fetches wait for"
              + " that. Afterwards it goes on trying in the background, and blocks go Spark's own way meanwhile. With `spark.weft.outlive`"
              + " also how long map outputs of an executor that has ended are asked for again, while a daemon is started anew.");

  public static final Key<Long> FETCH_TIMEOUT =
      Key.time(
          "fetch.timeout",
          "30s",
          "A fetch that has made no progress for this long is given up, and the blocks it still lacks go Spark's own way.");

  public static final Key<Long> PEER_RETRY =
      Key.time(
          "peer.retry",
          "10s",
          "How long blocks of an executor go Spark's own way once it turned out that its daemon cannot be reached or that it runs"
              + " without one. Then weft is tried again.");

  public static final Key<Boolean> BIGDL_LOCATIONS =
      Key.flag(
          "bigdl.locations",
          true,
          "Executors keep where BigDL's parameter blocks are (`test_<id>weightBytes<n>` and the like) instead of asking the driver"
              + " before each fetch of one. Any failure to fetch one has the driver asked again.");

  public static final Key<Boolean> OUTLIVE =
      Key.flag(
          "outlive",
          false,
          "true: map outputs outlive their executors: the node's daemon serves them on, and Spark neither runs their tasks again nor keeps"
              + " idle executors for their sake. Where that can be promised (see docs/compatibility.md), weft sets `spark.shuffle.sort.io.plugin.class`,"
              + " `spark.shuffle.readHostLocalDisk=false` and, unless they are set, `spark.dynamicAllocation.shuffleTracking.enabled=false`,"
              + " `spark.stage.maxConsecutiveAttempts=100` and `spark.storage.decommission.shuffleBlocks.enabled=false`. The driver's value counts.");

  private Keys() {}

  public static List<Key<?>> all() {
    return Collections.unmodifiableList(
        Arrays.asList(
            ENABLED,
            DAEMON_MODE,
            DAEMON_GRACE,
            SOCKET_DIR,
            CONNECT_TIMEOUT,
            FETCH_TIMEOUT,
            PEER_RETRY,
            BIGDL_LOCATIONS,
            OUTLIVE));
  }
}
