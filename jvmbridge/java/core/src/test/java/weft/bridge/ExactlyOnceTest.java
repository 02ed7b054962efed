package weft.bridge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static weft.bridge.BridgeFixture.delivered;
import static weft.bridge.BridgeFixture.pattern;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import weft.proto.BlockProto.Reason;
import weft.proto.BridgeProto.Failed;
import weft.proto.BridgeProto.Fetch;
import weft.proto.BridgeProto.SegmentKind;
import weft.proto.BridgeProto.ToDaemon;
import weft.proto.BridgeProto.ToJvm;

/** Many fetches from many threads against a daemon that delivers, fails and dies at random. */
@Timeout(60)
class ExactlyOnceTest {
  private static final int BLOCKS = 7;
  private static final int FETCHES = 400;

  @Test
  void everyBlockEndsOnceAndNoLeaseStaysOut() throws Exception {
    try (BridgeFixture f = new BridgeFixture().open()) {
      Thread daemon = new Thread(() -> misbehave(f), "misbehaving");
      daemon.setDaemon(true);
      f.daemon.addSegment(f.dir, 0, SegmentKind.SEGMENT_RECEIVE, pattern(1000, 1)).close();
      daemon.start();

      ExecutorService tasks = Executors.newFixedThreadPool(4);
      List<Future<RecordingSink>> sinks = new ArrayList<>();
      for (int i = 0; i < FETCHES; i++) {
        sinks.add(tasks.submit(() -> consume(f)));
      }
      for (Future<RecordingSink> sink : sinks) {
        for (int block = 0; block < BLOCKS; block++) {
          assertEquals(1, sink.get(30, TimeUnit.SECONDS).ends.get(block));
        }
      }
      tasks.shutdown();
      daemon.interrupt();
      daemon.join();
      assertEquals(0, f.bridge.leasesOut());
      assertEquals(0, f.bridge.leaks());
    }
  }

  private static RecordingSink consume(BridgeFixture f) throws InterruptedException {
    String[] names = new String[BLOCKS];
    for (int i = 0; i < BLOCKS; i++) {
      names[i] = i % 2 == 0 ? "shuffle_1_2_" + i : "rdd_1_" + i;
    }
    RecordingSink sink = f.fetch(false, names);
    for (int i = 0; i < BLOCKS; i++) {
      RecordingSink.Event event = sink.next();
      if (event.share != null) {
        event.share.retain();
        event.share.release();
        event.share.release();
      }
    }
    return sink;
  }

  private static void misbehave(BridgeFixture f) {
    Random random = new Random(7);
    long lease = 0;
    try {
      while (true) {
        ToDaemon frame = f.daemon.nextWithin(1000);
        if (frame == null || !frame.hasFetch()) {
          continue;
        }
        if (random.nextInt(40) == 0) {
          f.daemon.drop();
          f.daemon.awaitSession();
          f.daemon.addSegment(f.dir, 0, SegmentKind.SEGMENT_RECEIVE, pattern(1000, 1)).close();
          continue;
        }
        lease = answer(f.daemon, frame.getFetch(), random, lease);
      }
    } catch (InterruptedException e) {
      // the test is over
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  private static long answer(FakeDaemon daemon, Fetch fetch, Random random, long lease) {
    int at = 0;
    while (at < BLOCKS) {
      int count = 1 + random.nextInt(BLOCKS - at);
      if (random.nextInt(4) == 0) {
        Failed.Builder failed =
            Failed.newBuilder().setRequestId(fetch.getRequestId()).setReason(Reason.REASON_NOT_FOUND);
        for (int i = 0; i < count; i++) {
          failed.addBlock(at + i);
        }
        daemon.send(ToJvm.newBuilder().setFailed(failed));
      } else {
        long[][] entries = new long[count][];
        for (int i = 0; i < count; i++) {
          entries[i] = new long[] {at + i, random.nextInt(900), random.nextInt(100)};
        }
        daemon.send(delivered(fetch.getRequestId(), ++lease, 0, entries));
      }
      at += count;
    }
    return lease;
  }
}
