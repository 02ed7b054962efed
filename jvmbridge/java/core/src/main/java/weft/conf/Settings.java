package weft.conf;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/** What the keys say, checked. Immutable. */
public final class Settings {
  public final boolean enabled;
  /** Whether to start the daemon where none runs. */
  public final boolean startsDaemon;
  public final Path socketDir;
  public final long connectTimeoutMs;
  public final long fetchTimeoutMs;
  public final long peerRetryMs;
  public final long daemonGraceMs;
  /** Whether executors keep where BigDL's parameter blocks are. */
  public final boolean keepsLocations;
  /** Whether map outputs are to outlive their executors. */
  public final boolean outlives;
  /** The keys that are none of the above: options of the daemon, for who starts it. */
  public final Set<String> daemonKeys;
  /** The same with their values, by the names of the daemon's environment variables (WEFT_MEMORY_SESSION). */
  public final Map<String, String> daemonEnvironment;

  private Settings(Reader r, Map<String, String> conf, Map<String, String> env) {
    enabled = r.get(Keys.ENABLED);
    startsDaemon = r.get(Keys.DAEMON_MODE).equals("auto");
    socketDir = socketDir(r, r.get(Keys.SOCKET_DIR), env);
    connectTimeoutMs = r.get(Keys.CONNECT_TIMEOUT);
    fetchTimeoutMs = r.get(Keys.FETCH_TIMEOUT);
    peerRetryMs = r.get(Keys.PEER_RETRY);
    daemonGraceMs = r.get(Keys.DAEMON_GRACE);
    keepsLocations = r.get(Keys.BIGDL_LOCATIONS);
    outlives = r.get(Keys.OUTLIVE);
    daemonKeys = daemonKeys(conf);
    daemonEnvironment = daemonEnvironment(conf, daemonKeys);
  }

  /**
   * Reads the settings out of Spark's configuration.
   *
   * @throws IllegalArgumentException listing everything that is wrong with them, one line each
   */
  public static Settings of(Map<String, String> conf, Map<String, String> env) {
    Reader reader = new Reader(conf);
    Settings settings = new Settings(reader, conf, env);
    if (!reader.errors.isEmpty()) {
      throw new IllegalArgumentException(String.join("\n", reader.errors));
    }
    return settings;
  }

  private static Path socketDir(Reader r, String configured, Map<String, String> env) {
    if (!configured.isEmpty()) {
      try {
        Path dir = Paths.get(configured);
        if (dir.isAbsolute()) {
          return dir;
        }
        r.errors.add(Keys.SOCKET_DIR.name() + "=" + configured + ": expected an absolute path");
      } catch (InvalidPathException e) {
        r.errors.add(Keys.SOCKET_DIR.name() + "=" + configured + ": expected an absolute path: " + e.getReason());
      }
    }
    String runtime = env.getOrDefault("XDG_RUNTIME_DIR", "");
    if (runtime.startsWith("/")) { // anything else is no directory to the daemon either
      return Paths.get(runtime, "weft");
    }
    String tmp = env.getOrDefault("TMPDIR", "");
    return Paths.get(tmp.isEmpty() ? "/tmp" : tmp, "weft-" + uid());
  }

  /** The process's user id. */
  public static int uid() {
    try {
      return (Integer) Files.getAttribute(Paths.get("/proc/self"), "unix:uid");
    } catch (IOException e) {
      throw new IllegalStateException("weft: cannot find out the own user id: /proc is missing", e);
    }
  }

  private static Set<String> daemonKeys(Map<String, String> conf) {
    Set<String> keys = new TreeSet<>(conf.keySet());
    keys.removeIf(key -> !key.startsWith(Key.PREFIX));
    Keys.all().forEach(own -> keys.remove(own.name()));
    return keys;
  }

  private static Map<String, String> daemonEnvironment(Map<String, String> conf, Set<String> keys) {
    Map<String, String> env = new TreeMap<>();
    for (String key : keys) {
      env.put("WEFT_" + key.substring(Key.PREFIX.length()).replace('.', '_').toUpperCase(Locale.ROOT), conf.get(key));
    }
    return env;
  }

  /** Collects the errors, so that all are told at once. */
  private static final class Reader {
    final Map<String, String> conf;
    final List<String> errors = new ArrayList<>();

    Reader(Map<String, String> conf) {
      this.conf = conf;
    }

    <T> T get(Key<T> key) {
      try {
        return key.parse(conf.getOrDefault(key.name(), key.fallback()));
      } catch (IllegalArgumentException e) {
        errors.add(e.getMessage());
        return key.parse(key.fallback());
      }
    }
  }
}
