package weft.bridge;

import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import weft.proto.BlockProto.Reason;
import weft.proto.BridgeProto.Welcome;

/** Keeps a session open: a thread that dials, waits for the end, and dials again with back-off. */
final class Supervisor {
  private static final Logger LOG = LoggerFactory.getLogger(Supervisor.class);
  private static final long RETRY_MS = 50;
  private static final long FIRST_BACKOFF_MS = 100;
  private static final long MAX_BACKOFF_MS = 15_000;
  /** A session that lived shorter than this does not set the back-off back. */
  private static final long STABLE_MS = 10_000;

  private final Dialer dialer;
  private final Bridge.HelloSource hello;
  private final Launcher launcher;
  private final long connectTimeoutMs;
  private final Consumer<Session> greet;
  private final SessionListener listener;
  private final CompletableFuture<Boolean> firstAttempt = new CompletableFuture<>();
  private Thread thread; // guarded by this
  private volatile Session session;
  private volatile String trouble = "no session yet";
  private volatile Reason reason = Reason.REASON_DAEMON_GONE;
  private volatile boolean closed;

  Supervisor(
      Dialer dialer,
      Bridge.HelloSource hello,
      Launcher launcher,
      long connectTimeoutMs,
      Consumer<Session> greet,
      SessionListener listener) {
    this.dialer = dialer;
    this.hello = hello;
    this.launcher = launcher;
    this.connectTimeoutMs = connectTimeoutMs;
    this.greet = greet;
    this.listener = listener;
  }

  /** The session, or null. */
  Session session() {
    return session;
  }

  /** Why there is none. */
  String trouble() {
    return trouble;
  }

  /** The same in a word. */
  Reason reason() {
    return reason;
  }

  synchronized CompletableFuture<Boolean> open() {
    if (thread == null && !closed) {
      thread = new Thread(this::run, "weft-session");
      thread.setDaemon(true);
      thread.start();
    }
    return firstAttempt;
  }

  synchronized void close() {
    closed = true;
    Session last = session;
    if (last != null) {
      last.close("this executor stops");
    }
    if (thread != null) {
      thread.interrupt();
    }
    firstAttempt.complete(false);
  }

  private void run() {
    long backoff = FIRST_BACKOFF_MS;
    boolean failedBefore = false;
    while (!closed) {
      try {
        Session opened;
        try {
          opened = dialUntil(System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(connectTimeoutMs));
        } catch (InterruptedException e) {
          throw e;
        } catch (Exception e) { // Spark's RPC, written in Scala, throws checked ones that it does not declare
          trouble = said(e);
          reason = e instanceof Refused ? ((Refused) e).reason : Reason.REASON_DAEMON_GONE;
          if (!failedBefore && !closed) {
            tell(() -> listener.failed(trouble));
          }
          failedBefore = true;
          firstAttempt.complete(false);
          Thread.sleep(backoff);
          backoff = Math.min(2 * backoff, MAX_BACKOFF_MS);
          continue;
        }
        failedBefore = false;
        long since = System.nanoTime();
        serve(opened);
        if (System.nanoTime() - since > TimeUnit.MILLISECONDS.toNanos(STABLE_MS)) {
          backoff = FIRST_BACKOFF_MS;
        }
        Thread.sleep(closed ? 0 : backoff);
        backoff = Math.min(2 * backoff, MAX_BACKOFF_MS);
      } catch (InterruptedException e) {
        break; // closed
      }
    }
  }

  private void serve(Session opened) throws InterruptedException {
    synchronized (this) {
      session = opened; // before the greeting: what is added from now on is sent by who adds it
      if (closed) {
        opened.close("this executor stops");
      }
    }
    tell(() -> greet.accept(opened));
    Welcome welcome = opened.welcome();
    boolean announced =
        tell(
            () ->
                listener.opened(
                    welcome.getPeerAddressList(),
                    welcome.getPeerPort(),
                    welcome.getDaemonId().toByteArray(),
                    welcome.getRdmaDevice(),
                    welcome.getRdmaSoftware(),
                    (welcome.getFeatures() & Bridge.OUTLIVE) != 0,
                    welcome.getTakenOverList()));
    if (!announced) {
      opened.close("it could not be announced to the driver"); // the next one is announced again
    }
    firstAttempt.complete(true);
    String cause = opened.end().join();
    session = null;
    trouble = cause;
    reason = Reason.REASON_DAEMON_GONE;
    if (!closed) {
      tell(() -> listener.lost(cause));
    }
  }

  /** Dials; where no daemon answers, has it launched and dials again until the deadline. */
  private Session dialUntil(long deadline) throws IOException, InterruptedException {
    while (true) {
      long left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
      try {
        return dialer.dial(hello.hello(), Math.max(1, left));
      } catch (Refused e) {
        throw e;
      } catch (IOException e) {
        if (left <= RETRY_MS) {
          throw e;
        }
        launcher.launch();
        if (launcher == Launcher.NONE) {
          throw e;
        }
      }
      Thread.sleep(RETRY_MS);
    }
  }

  private boolean tell(Runnable call) {
    try {
      call.run();
      return true;
    } catch (Exception e) { // undeclared ones too: left uncaught, one would have Spark end the executor
      if (closed) { // close interrupts who waits for the driver
        LOG.debug("weft: given up at this executor's end", e);
      } else {
        LOG.warn("weft: {}", said(e), e);
      }
      return false;
    }
  }

  private static String said(Exception e) {
    return e.getMessage() == null ? e.toString() : e.getMessage();
  }
}
