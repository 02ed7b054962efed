package weft.daemon;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import weft.bridge.Launcher;
import weft.conf.Settings;

/**
 * Starts the daemon from the binary in the jar. Several executors may do so at once: the daemon locks its directory, and all but
 * one leave. Used by one thread.
 */
public final class DaemonLauncher implements Launcher {
  private static final Logger LOG = LoggerFactory.getLogger(DaemonLauncher.class);

  /** Starts in a row that came to nothing before it is given up. */
  private static final int MAX_STARTS = 5;

  /** Exit code of a daemon that found another one in its directory. */
  private static final int ALREADY_RUNNING = 3;

  /** From here on the exit code names the signal that ended the process. Somebody killed it: it is started again. */
  private static final int SIGNALLED = 128;

  private static final long AGAIN_NANOS = TimeUnit.SECONDS.toNanos(2);
  private static final long FORGIVE_NANOS = TimeUnit.MINUTES.toNanos(10);

  private final Settings settings;
  private final Binary.Source binary;
  private final DaemonLog log;
  private Process process;
  private int starts;
  private long lastStart;

  public DaemonLauncher(Settings settings) {
    this(settings, Binary.inJar());
  }

  DaemonLauncher(Settings settings, Binary.Source binary) {
    this.settings = settings;
    this.binary = binary;
    this.log = new DaemonLog(settings.socketDir);
  }

  @Override
  public void launch() throws IOException {
    if (process != null) {
      if (process.isAlive()) {
        return; // give it time
      }
      int status = process.exitValue();
      process = null;
      if (status != 0 && status != ALREADY_RUNNING && status < SIGNALLED) {
        throw new IOException(
            "the daemon ended with status " + status + ": " + log.lastLine() + " (see " + log.file() + ")");
      }
      // Another executor's daemon has the directory, or ours has left after its last session.
    }
    long now = System.nanoTime();
    if (starts > 0 && now - lastStart < AGAIN_NANOS) {
      return; // the other one is just coming up
    }
    starts = starts > 0 && now - lastStart > FORGIVE_NANOS ? 1 : starts + 1;
    if (starts > MAX_STARTS) {
      throw new IOException(
          "the daemon was started " + MAX_STARTS + " times and is not there: see " + log.file());
    }
    lastStart = now;
    SocketDirectory.ensure(settings.socketDir);
    Path file = Binary.extract(binary, settings.socketDir);
    ProcessBuilder builder =
        new ProcessBuilder(
            file.toString(),
            "daemon",
            "--socket-dir",
            settings.socketDir.toString(),
            "--daemon-grace",
            Math.max(1, settings.daemonGraceMs) + "ms");
    builder.environment().putAll(settings.daemonEnvironment);
    builder.directory(settings.socketDir.toFile());
    builder.redirectErrorStream(true);
    log.rotate();
    builder.redirectOutput(ProcessBuilder.Redirect.appendTo(log.file().toFile()));
    process = builder.start();
    process.getOutputStream().close();
    LOG.info("weft: starting the daemon of this node, unless another executor has (start {} of at most {}), log in {}", starts, MAX_STARTS, log.file());
  }

  /** The process started last, or null. */
  Process process() {
    return process;
  }
}
