package weft.bridge;

import static org.junit.jupiter.api.Assertions.assertTrue;
import static weft.bridge.BridgeFixture.delivered;

import java.lang.management.ManagementFactory;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import weft.proto.BlockProto.Reason;
import weft.proto.BridgeProto.SegmentKind;

/** What a block costs in heap, whatever its size. The budget is docs/performance.md's: 0.02 bytes a byte from 64 KiB on. */
@Timeout(60)
class AllocationTest {
  private static final int BLOCKS = 100;
  private static final int REQUESTS = 200;
  private static final long BUDGET = (64 << 10) * 2 / 100;

  @Test
  void aBlockCostsAFewHundredBytesOfHeap() throws Exception {
    try (BridgeFixture f = new BridgeFixture().open()) {
      f.daemon.addSegment(f.dir, 0, SegmentKind.SEGMENT_RECEIVE, new byte[BLOCKS]).close();
      String[] names = new String[BLOCKS];
      for (int i = 0; i < BLOCKS; i++) {
        names[i] = "shuffle_1_2_" + i;
      }
      fetch(f, names, REQUESTS); // the code is compiled, the buffers have their size
      long before = allocated();
      fetch(f, names, REQUESTS);
      long perBlock = (allocated() - before) / (BLOCKS * REQUESTS);
      assertTrue(perBlock < BUDGET / 2, perBlock + " bytes of heap a block; the other half of the budget is Spark's");
    }
  }

  private static void fetch(BridgeFixture f, String[] names, int requests) throws InterruptedException {
    long lease = 0;
    for (int r = 0; r < requests; r++) {
      CountDownLatch left = new CountDownLatch(BLOCKS);
      f.bridge.fetch(
          new FetchRequest(BridgeFixture.PEER, "2", new BlockNames(names), false),
          new FetchSink() {
            @Override
            public void delivered(int block, Share share, String transport) {
              share.bytes();
              share.release();
              left.countDown();
            }

            @Override
            public void piece(int block, long offset, long length, Share share, String transport) {}

            @Override
            public void failed(int[] blocks, Reason reason, String detail) {}
          });
      long[][] entries = new long[BLOCKS][];
      for (int i = 0; i < BLOCKS; i++) {
        entries[i] = new long[] {i, i, 1};
      }
      f.daemon.send(delivered(f.daemon.nextFetch().getRequestId(), ++lease, 0, entries));
      left.await();
    }
  }

  /** Bytes that the bridge's event loop has allocated so far. */
  private static long allocated() {
    com.sun.management.ThreadMXBean threads =
        (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
    for (long id : threads.getAllThreadIds()) {
      if (threads.getThreadInfo(id).getThreadName().startsWith("weft-bridge")) {
        return threads.getThreadAllocatedBytes(id);
      }
    }
    throw new AssertionError("no event loop");
  }
}
