package weft.bridge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import weft.proto.BridgeProto.Release;

@Timeout(30)
class LeaseTest {
  private final List<Runnable> loop = new ArrayList<>();
  private final List<Release> sent = new ArrayList<>();
  private final LeaseReturns returns = new LeaseReturns(loop::add, sent::add);
  private final Segment segment = new Segment(1, false, ByteBuffer.allocate(100));

  private void turn() {
    List<Runnable> tasks = new ArrayList<>(loop);
    loop.clear();
    tasks.forEach(Runnable::run);
  }

  @Test
  void releasesOfOneTurnTravelTogether() {
    Lease a = new Lease(1, 3, segment, returns);
    Lease b = new Lease(2, 1, segment, returns);
    assertEquals(2, returns.out());
    a.release();
    b.release();
    a.release();
    assertEquals(1, loop.size(), "one turn is asked for, not one a release");
    assertEquals(1, returns.out());
    turn();
    assertEquals(1, sent.size());
    assertEquals(List.of(1L, 2L), sent.get(0).getLeaseList());
    assertEquals(List.of(2, 1), sent.get(0).getCountList());
    a.release();
    turn();
    assertEquals(List.of(1), sent.get(1).getCountList());
    assertEquals(0, returns.out());
  }

  @Test
  void aShareGoesBackOnce() {
    Lease lease = new Lease(1, 1, segment, returns);
    lease.release();
    assertThrows(IllegalStateException.class, lease::release);
    turn();
    assertEquals(List.of(1), sent.get(0).getCountList());
  }

  @Test
  void sharesReleasedByManyThreadsAreAllReported() throws Exception {
    int shares = 10_000;
    ExecutorService threads = Executors.newFixedThreadPool(4);
    CountDownLatch done = new CountDownLatch(4);
    ExecutorService one = Executors.newSingleThreadExecutor();
    List<Release> frames = new ArrayList<>();
    LeaseReturns reported = new LeaseReturns(one, frames::add);
    Lease shared = new Lease(2, shares, segment, reported);
    for (int t = 0; t < 4; t++) {
      threads.execute(
          () -> {
            for (int i = 0; i < shares / 4; i++) {
              shared.release();
            }
            done.countDown();
          });
    }
    assertTrue(done.await(20, TimeUnit.SECONDS));
    one.shutdown();
    assertTrue(one.awaitTermination(20, TimeUnit.SECONDS));
    threads.shutdown();
    assertEquals(
        shares,
        frames.stream().flatMap(f -> f.getCountList().stream()).mapToInt(Integer::intValue).sum());
    assertEquals(0, reported.out());
  }

  @Test
  void aSegmentIsHeldByItsLeases() {
    Lease lease = new Lease(1, 1, segment, returns);
    segment.release(); // the session gives it up
    assertTrue(segment.hold());
    segment.release();
    lease.release();
    assertFalse(segment.hold());
    assertThrows(IllegalStateException.class, () -> new Lease(2, 1, segment, returns));
  }

  @Test
  void rangesAreChecked() throws IOException {
    segment.check(0, 100);
    segment.check(100, 0);
    assertThrows(IOException.class, () -> segment.check(1, 100));
    assertThrows(IOException.class, () -> segment.check(-1, 1));
    assertThrows(IOException.class, () -> segment.check(Long.MAX_VALUE, 1));
    assertThrows(IOException.class, () -> segment.check(1, Long.MAX_VALUE));
  }

  @Test
  void aShareCountsReferences() {
    Share share = new Share(new Lease(1, 1, segment, returns), 10, 5, null);
    share.retain();
    share.release();
    assertEquals(5, share.bytes().remaining());
    share.release();
    assertEquals(0, returns.out());
    assertThrows(IllegalStateException.class, share::release);
    assertThrows(IllegalStateException.class, share::retain);
    assertThrows(IllegalStateException.class, share::bytes);
    assertEquals(0, returns.out(), "what threw changed nothing");
  }

  @Test
  void aLostShareIsReportedAndStaysTaken() throws Exception {
    LeakDetector leaks = new LeakDetector();
    Share kept = new Share(new Lease(1, 1, segment, returns), 0, 1, leaks);
    Share released = new Share(new Lease(2, 1, segment, returns), 0, 1, leaks);
    released.release();
    lose(leaks);
    while (leaks.leaks() == 0) {
      System.gc();
      Thread.sleep(1);
      leaks.sweep();
    }
    assertEquals(1, leaks.leaks());
    assertEquals(2, returns.out());
    kept.release();
    turn();
    assertFalse(sent.get(0).getLeaseList().contains(3L), "somebody may still read its bytes");
  }

  private void lose(LeakDetector leaks) {
    new Share(new Lease(3, 1, segment, returns), 0, 1, leaks).retain();
  }
}
