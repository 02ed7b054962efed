package weft.bridge;

import io.netty.channel.Channel;
import io.netty.channel.EventLoop;
import io.netty.channel.unix.FileDescriptor;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.HashMap;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import weft.proto.BlockProto.Reason;
import weft.proto.BridgeProto.Cancel;
import weft.proto.BridgeProto.Delivered;
import weft.proto.BridgeProto.ToDaemon;
import weft.proto.BridgeProto.ToJvm;
import weft.proto.BridgeProto.Welcome;

/**
 * One session with the daemon, from Welcome to the end of either socket. All state belongs to the event loop; the public
 * methods may be called from any thread.
 */
final class Session {
  private static final Logger LOG = LoggerFactory.getLogger(Session.class);

  private static final long SWEEP_MS = 1000;

  private final Channel main;
  private final Channel descriptors;
  private final EventLoop loop;
  private final Welcome welcome;
  private final long fetchTimeoutMs;
  private final long patienceMs;
  private final LeakDetector leaks;
  private final Segments segments = new Segments();
  private final LeaseReturns returns;
  private final Upcalls upcalls;
  private final Map<Long, FetchCall> calls = new HashMap<>();
  private final Queue<ToJvm> held = new ArrayDeque<>();
  private final CompletableFuture<String> end = new CompletableFuture<>();
  private final Object afterLoop = new Object(); // held by who uses this when the event loop has ended
  private long lastRequest;
  private long lastSweep = System.nanoTime();

  /**
   * @param fetchTimeoutMs what the daemon is told to give a fetch up after, without progress
   * @param patienceMs how much longer it may say nothing about a fetch before it counts as hung
   */
  Session(
      Channel main,
      Channel descriptors,
      Welcome welcome,
      long fetchTimeoutMs,
      long patienceMs,
      BlockSource source,
      Executor workers,
      LeakDetector leaks) {
    this.main = main;
    this.descriptors = descriptors;
    this.loop = main.eventLoop();
    this.welcome = welcome;
    this.fetchTimeoutMs = fetchTimeoutMs;
    this.patienceMs = patienceMs;
    this.leaks = leaks;
    this.returns =
        new LeaseReturns(loop, r -> send(ToDaemon.newBuilder().setRelease(r).build()));
    this.upcalls = new Upcalls(source, workers, this::send);
    loop.schedule(this::sweep, SWEEP_MS, TimeUnit.MILLISECONDS);
  }

  Welcome welcome() {
    return welcome;
  }

  /** Completes with the cause when the session has ended and everything outstanding was failed. */
  CompletableFuture<String> end() {
    return end;
  }

  /** Leases of which this JVM holds a share. */
  int leasesOut() {
    return returns.out();
  }

  /** Sends a frame; drops it when the session has ended. */
  void send(ToDaemon frame) {
    main.writeAndFlush(frame, main.voidPromise());
  }

  /** Begins a fetch; the handle cancels it: what was not delivered then fails with CANCELLED. */
  Runnable fetch(FetchRequest request, FetchSink sink) {
    FetchCall call = new FetchCall(request, sink);
    onLoop(() -> begin(call));
    return () -> onLoop(() -> cancel(call));
  }

  private void begin(FetchCall call) {
    if (end.isDone()) {
      call.failAll(Reason.REASON_DAEMON_GONE, end.join());
      return;
    }
    call.id = ++lastRequest;
    call.progress = System.nanoTime();
    calls.put(call.id, call);
    send(ToDaemon.newBuilder().setFetch(call.frame(fetchTimeoutMs)).build());
  }

  private void cancel(FetchCall call) {
    if (calls.containsKey(call.id)) {
      send(ToDaemon.newBuilder().setCancel(Cancel.newBuilder().setRequestId(call.id)).build());
    }
  }

  // ---- on the event loop

  void received(ToJvm frame) {
    if (end.isDone()) {
      return;
    }
    if (!held.isEmpty() || (segments.waiting() && !frame.hasAddSegment())) {
      held.add(frame); // it may speak of a segment whose descriptor is still under way
      return;
    }
    guarded(() -> handle(frame));
  }

  void received(FileDescriptor descriptor) {
    guarded(
        () -> {
          segments.descriptor(descriptor);
          while (!segments.waiting() && !held.isEmpty() && !end.isDone()) {
            handle(held.remove());
          }
        });
  }

  private void handle(ToJvm frame) throws IOException {
    switch (frame.getKindCase()) {
      case ADD_SEGMENT:
        segments.announce(frame.getAddSegment());
        break;
      case DROP_SEGMENT:
        segments.drop(frame.getDropSegment().getSegment());
        break;
      case DELIVERED:
        delivered(frame.getDelivered());
        break;
      case FAILED:
        FetchCall failing = call(frame.getFailed().getRequestId());
        failing.failed(frame.getFailed());
        forget(failing);
        break;
      case OPEN_BLOCK:
        upcalls.open(frame.getOpenBlock());
        break;
      case COPY_BLOCK:
        upcalls.copy(frame.getCopyBlock(), n -> segments.holdUpcall((int) n));
        break;
      case CLOSE_BLOCK:
        upcalls.close(frame.getCloseBlock());
        break;
      default:
        throw new IOException("weft: the daemon sent a frame that does not belong here: " + frame.getKindCase());
    }
  }

  private void delivered(Delivered frame) throws IOException {
    int entries = frame.getBlockCount();
    if (entries == 0 || frame.getOffsetCount() != entries || frame.getLengthCount() != entries) {
      throw new IOException("weft: the daemon delivered a frame with lists of unequal length");
    }
    FetchCall call = call(frame.getRequestId());
    Lease lease = null;
    if (frame.getLease() != 0) {
      lease = new Lease(frame.getLease(), entries, segments.receive(frame.getSegment()), returns);
    }
    call.progress = System.nanoTime();
    call.delivered(frame, lease, leaks);
    forget(call);
  }

  private FetchCall call(long id) throws IOException {
    FetchCall call = calls.get(id);
    if (call == null) {
      throw new IOException("weft: the daemon answered request " + id + ", which is not under way");
    }
    return call;
  }

  private void forget(FetchCall call) {
    if (call.ended()) {
      calls.remove(call.id);
    }
  }

  /** Gives up fetches that take too long, and notices a daemon that has gone silent, and lost blocks. */
  private void sweep() {
    if (end.isDone()) {
      return;
    }
    leaks.sweep();
    long now = System.nanoTime();
    boolean paused = now - lastSweep > TimeUnit.MILLISECONDS.toNanos(3 * SWEEP_MS);
    lastSweep = now;
    long limit = TimeUnit.MILLISECONDS.toNanos(fetchTimeoutMs + patienceMs);
    for (FetchCall call : calls.values().toArray(new FetchCall[0])) {
      if (paused) {
        call.progress = now; // this JVM stood still; what came meanwhile has not been read yet
      } else if (now - call.progress > limit && !call.givenUp) {
        // The daemon may be getting on: it tells nothing of a block before the end. It answers a cancellation at once, if it lives.
        call.givenUp = true;
        call.progress = now - TimeUnit.MILLISECONDS.toNanos(fetchTimeoutMs);
        cancel(call);
      } else if (now - call.progress > limit) {
        end("it did not answer for " + (fetchTimeoutMs + 2 * patienceMs) + " ms");
        return;
      }
    }
    loop.schedule(this::sweep, SWEEP_MS, TimeUnit.MILLISECONDS);
  }

  private interface Step {
    void run() throws IOException;
  }

  private void guarded(Step step) {
    try {
      step.run();
    } catch (IOException | RuntimeException e) {
      LOG.error("weft: ending the session with the daemon: {}", e.getMessage(), e);
      end(String.valueOf(e.getMessage()));
    }
  }

  /** Ends the session, once. Everything outstanding fails before this returns. */
  void end(String cause) {
    if (!end.complete(cause)) {
      return;
    }
    main.close();
    descriptors.close();
    held.clear();
    FetchCall[] outstanding = calls.values().toArray(new FetchCall[0]);
    calls.clear();
    for (FetchCall call : outstanding) {
      call.failAll(Reason.REASON_DAEMON_GONE, cause);
    }
    upcalls.closeAll();
    segments.close();
  }

  /** Ends the session from any thread. */
  void close(String cause) {
    onLoop(() -> end(cause));
  }

  /**
   * Runs on the event loop; where that has ended with this executor, and nothing else runs there any more, on the caller's thread, one at a
   * time.
   */
  private void onLoop(Runnable step) {
    try {
      loop.execute(step);
    } catch (RejectedExecutionException e) {
      if (!loop.inEventLoop()) { // its last tasks come here, too
        loop.terminationFuture().awaitUninterruptibly();
      }
      synchronized (afterLoop) {
        end("this executor stops");
        step.run();
      }
    }
  }
}
