package weft.bridge;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static weft.bridge.BridgeFixture.delivered;
import static weft.bridge.BridgeFixture.inside;
import static weft.bridge.BridgeFixture.pattern;
import static weft.bridge.BridgeFixture.piece;

import java.io.RandomAccessFile;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import weft.proto.BlockProto.Reason;
import weft.proto.BridgeProto.Delivered;
import weft.proto.BridgeProto.Delivery;
import weft.proto.BridgeProto.DropSegment;
import weft.proto.BridgeProto.Failed;
import weft.proto.BridgeProto.Fetch;
import weft.proto.BridgeProto.Release;
import weft.proto.BridgeProto.SegmentKind;
import weft.proto.BridgeProto.ToJvm;

@Timeout(30)
class BridgeFetchTest {
  private BridgeFixture f;
  private FakeDaemon daemon;

  @BeforeEach
  void open() throws Exception {
    f = new BridgeFixture().open();
    daemon = f.daemon;
  }

  @AfterEach
  void close() throws Exception {
    f.close();
  }

  @Test
  void blocksAreReadWhereTheyLieAndTheirSharesGoBackTogether() throws Exception {
    byte[] content = pattern(4096, 1);
    daemon.addSegment(f.dir, 0, SegmentKind.SEGMENT_RECEIVE, content).close();
    RecordingSink sink = f.fetch(false, "shuffle_3_9_0", "shuffle_3_9_1_4");

    Fetch fetch = daemon.nextFetch();
    assertEquals(Delivery.DELIVERY_WHOLE, fetch.getDelivery());
    assertEquals("2", fetch.getExecutorId());
    assertEquals(200, fetch.getTimeoutMs());
    assertEquals(Arrays.asList(1, 4), fetch.getBlocks().getReduceEndList());

    daemon.send(delivered(fetch.getRequestId(), 11, 0, new long[] {1, 100, 50}, new long[] {0, 0, 100}));
    RecordingSink.Event second = sink.next();
    RecordingSink.Event first = sink.next();
    assertEquals(1, second.block);
    assertEquals("mem", second.text);
    assertArrayEquals(Arrays.copyOfRange(content, 100, 150), second.bytes());
    assertArrayEquals(Arrays.copyOfRange(content, 0, 100), first.bytes());
    assertTrue(first.share.bytes().isReadOnly());
    assertEquals(1, f.bridge.leasesOut());

    first.share.release();
    second.share.release();
    assertEquals(2, releases(2).get(11L));
    assertEquals(0, f.bridge.leasesOut());
  }

  @Test
  void whatLiesInASegmentWaitsForItsDescriptor() throws Exception {
    byte[] content = pattern(64, 2);
    RandomAccessFile file = new RandomAccessFile(f.dir.resolve("late").toFile(), "rw");
    file.write(content);
    RecordingSink sink = f.fetch(false, "a", "b");
    long request = daemon.nextFetch().getRequestId();

    daemon.announce(5, SegmentKind.SEGMENT_RECEIVE, 64);
    daemon.send(delivered(request, 1, 5, new long[] {0, 0, 64}));
    daemon.send(failed(request, Reason.REASON_NOT_FOUND, 1));
    assertNull(sink.events.poll(100, java.util.concurrent.TimeUnit.MILLISECONDS));
    daemon.sendDescriptor(file);

    assertArrayEquals(content, sink.next().bytes());
    assertEquals(Reason.REASON_NOT_FOUND, sink.next().reason);
    file.close();
  }

  /** More than Netty reads of a socket at a time, and all of them while the event loop is busy: one wake-up tells of them all. */
  @Test
  void descriptorsThatCameTogetherAreAllTaken() throws Exception {
    CountDownLatch busy = new CountDownLatch(1);
    CountDownLatch sent = new CountDownLatch(1);
    RecordingSink blocking =
        new RecordingSink(1) {
          @Override
          public void delivered(int block, Share share, String transport) {
            busy.countDown();
            try {
              sent.await();
            } catch (InterruptedException e) {
              Thread.currentThread().interrupt();
            }
          }
        };
    f.bridge.fetch(new FetchRequest(BridgeFixture.PEER, "2", new BlockNames(new String[] {"rdd_1_1"}), false), blocking);
    daemon.send(delivered(daemon.nextFetch().getRequestId(), 0, 0, new long[] {0, 0, 0}));
    busy.await();
    int last = 40;
    byte[] content = pattern(4096, 8);
    for (int i = 0; i <= last; i++) {
      daemon.addSegment(f.dir, i, SegmentKind.SEGMENT_RECEIVE, content).close();
    }
    sent.countDown();

    RecordingSink sink = f.fetch(false, "rdd_1_2");
    daemon.send(delivered(daemon.nextFetch().getRequestId(), 5, last, new long[] {0, 10, 20}));
    RecordingSink.Event event = sink.next();
    assertArrayEquals(Arrays.copyOfRange(content, 10, 30), event.bytes());
    event.share.release();
  }

  @Test
  void namesAreMovedBehindShuffleBlocksAndBack() throws Exception {
    RecordingSink sink = f.fetch(false, "rdd_1_2", "shuffle_1_2_3", "broadcast_1");
    Fetch fetch = daemon.nextFetch();
    assertEquals(1, fetch.getBlocks().getShuffleIdCount());
    assertEquals(Arrays.asList("rdd_1_2", "broadcast_1"), fetch.getBlocks().getNameList());
    daemon.send(failed(fetch.getRequestId(), Reason.REASON_NOT_FOUND, 0));
    daemon.send(failed(fetch.getRequestId(), Reason.REASON_NOT_FOUND, 2));
    assertEquals(1, sink.next().block);
    assertEquals(2, sink.next().block);
  }

  @Test
  void aBlockWithoutBytesNeedsNoSegment() throws Exception {
    RecordingSink sink = f.fetch(false, "a");
    daemon.send(delivered(daemon.nextFetch().getRequestId(), 0, 0, new long[] {0, 0, 0}));
    RecordingSink.Event event = sink.next();
    assertEquals(0, event.share.bytes().remaining());
    event.share.release();
    assertNull(daemon.nextWithin(50));
  }

  @Test
  void aBlockWithoutBytesInALeaseGivesItsShareBackAtOnce() throws Exception {
    daemon.addSegment(f.dir, 0, SegmentKind.SEGMENT_RECEIVE, pattern(10, 3)).close();
    RecordingSink sink = f.fetch(false, "a", "b");
    long request = daemon.nextFetch().getRequestId();
    daemon.send(delivered(request, 4, 0, new long[] {0, 0, 0}, new long[] {1, 0, 10}));
    sink.next().share.release();
    sink.next().share.release();
    assertEquals(2, releases(2).get(4L));
  }

  @Test
  void piecesComeInOrder() throws Exception {
    byte[] content = pattern(30, 4);
    daemon.addSegment(f.dir, 0, SegmentKind.SEGMENT_RECEIVE, content).close();
    RecordingSink sink = f.fetch(true, "big");
    Fetch fetch = daemon.nextFetch();
    assertEquals(Delivery.DELIVERY_PIECES, fetch.getDelivery());
    daemon.send(piece(fetch.getRequestId(), 1, 0, 0, 0, 20, 0, 50));
    daemon.send(piece(fetch.getRequestId(), 2, 0, 0, 0, 30, 20, 50));
    RecordingSink.Event first = sink.next();
    RecordingSink.Event second = sink.next();
    assertEquals(0, first.offset);
    assertEquals(20, second.offset);
    assertEquals(50, second.blockLength);
    assertArrayEquals(content, second.bytes());
    assertEquals(1, sink.ends.get(0));
  }

  @Test
  void aSmallBlockInsideTheFrameNeedsNoLease() throws Exception {
    byte[] content = pattern(64 << 10, 4);
    RecordingSink sink = f.fetch(true, "small");
    Fetch fetch = daemon.nextFetch();
    assertEquals(content.length, fetch.getInlineMax());
    daemon.send(inside(fetch.getRequestId(), content));
    RecordingSink.Event event = sink.next();
    assertEquals(content.length, event.blockLength);
    assertEquals(0, f.bridge.leasesOut());
    event.share.retain();
    event.share.release();
    assertArrayEquals(content, event.bytes());
    assertTrue(event.share.bytes().isReadOnly());
    event.share.release();
    assertThrows(IllegalStateException.class, event.share::bytes);
    assertEquals(1, sink.ends.get(0));
    assertNull(daemon.nextWithin(50), "nothing is given back");

    f.fetch(false, "whole");
    assertEquals(0, daemon.nextFetch().getInlineMax(), "blocks that are not copied stay in shared memory");
    f.fetch(true, "one", "two");
    assertEquals(0, daemon.nextFetch().getInlineMax(), "of several the receiver may be slow");
  }

  @Test
  void cancelIsAnsweredByTheDaemon() throws Exception {
    RecordingSink sink = new RecordingSink(1);
    Runnable cancel =
        f.bridge.fetch(
            new FetchRequest(BridgeFixture.PEER, "2", new BlockNames(new String[] {"a"}), false), sink);
    long request = daemon.nextFetch().getRequestId();
    cancel.run();
    assertEquals(request, daemon.next().getCancel().getRequestId());
    daemon.send(failed(request, Reason.REASON_CANCELLED, 0));
    assertEquals(Reason.REASON_CANCELLED, sink.next().reason);
    cancel.run();
    assertNull(daemon.nextWithin(50), "a fetch that has ended is not cancelled");
  }

  @Test
  void aDroppedSegmentStaysReadableWhileALeaseIsOut() throws Exception {
    byte[] content = pattern(10, 5);
    daemon.addSegment(f.dir, 0, SegmentKind.SEGMENT_RECEIVE, content).close();
    RecordingSink sink = f.fetch(false, "a");
    daemon.send(delivered(daemon.nextFetch().getRequestId(), 1, 0, new long[] {0, 0, 10}));
    RecordingSink.Event event = sink.next();
    daemon.send(ToJvm.newBuilder().setDropSegment(DropSegment.newBuilder().setSegment(0)));
    RecordingSink barrier = f.fetch(false, "b");
    daemon.send(failed(daemon.nextFetch().getRequestId(), Reason.REASON_NOT_FOUND, 0));
    barrier.next();
    assertArrayEquals(content, event.bytes());
    event.share.release();
    assertThrows(IllegalStateException.class, event.share::bytes);
  }

  @Test
  void aDaemonThatBreaksTheProtocolLosesTheSession() throws Exception {
    losesTheSession(EnumSet.range(Misdeed.GARBAGE, Misdeed.PIECE_OUT_OF_ORDER));
  }

  @Test
  void aDaemonThatSaysSomethingElseOfABlockInsideAFrameLosesTheSession() throws Exception {
    losesTheSession(EnumSet.range(Misdeed.INSIDE_OF_WHOLE_BLOCKS, Misdeed.INSIDE_AND_TOO_LARGE));
  }

  /** Few misdeeds at a time: each makes the next session come later. */
  private void losesTheSession(Set<Misdeed> misdeeds) throws Exception {
    assertEquals("opened [10.0.0.1]:7400 rxe0 true [9]", f.told());
    for (Misdeed misdeed : misdeeds) {
      RecordingSink sink = f.fetch(misdeed.pieces, misdeed.blocks);
      long request = daemon.nextFetch().getRequestId();
      daemon.addSegment(f.dir, 1, SegmentKind.SEGMENT_RECEIVE, pattern(10, 6)).close();
      misdeed.commit(daemon, request);
      RecordingSink.Event event = sink.next();
      while (event.reason == null) {
        event.share.release();
        event = sink.next();
      }
      assertEquals(Reason.REASON_DAEMON_GONE, event.reason, misdeed.name());
      assertEquals("lost", f.told(), misdeed.name());
      daemon.awaitSession();
      assertTrue(f.told().startsWith("opened"), misdeed.name());
      for (int block = 0; block < misdeed.blocks.length; block++) {
        assertEquals(1, sink.ends.get(block), misdeed + ": " + sink.ends);
      }
    }
  }

  private enum Misdeed {
    GARBAGE {
      @Override
      void commit(FakeDaemon d, long request) {
        d.sendRaw(new byte[] {(byte) 0xff, 1, 2, 3});
      }
    },
    OUTSIDE_THE_SEGMENT {
      @Override
      void commit(FakeDaemon d, long request) {
        d.send(delivered(request, 1, 1, new long[] {0, 0, 5}, new long[] {1, 5, 6}));
      }
    },
    UNKNOWN_SEGMENT {
      @Override
      void commit(FakeDaemon d, long request) {
        d.send(delivered(request, 1, 9, new long[] {0, 0, 5}));
      }
    },
    TWICE {
      @Override
      void commit(FakeDaemon d, long request) {
        d.send(delivered(request, 1, 1, new long[] {0, 0, 5}));
        d.send(delivered(request, 2, 1, new long[] {0, 0, 5}));
      }
    },
    UNKNOWN_REQUEST {
      @Override
      void commit(FakeDaemon d, long request) {
        d.send(failed(request + 1, Reason.REASON_INTERNAL, 0));
      }
    },
    PIECE_OUT_OF_ORDER(true, "a", "b") {
      @Override
      void commit(FakeDaemon d, long request) {
        d.send(piece(request, 1, 1, 0, 0, 5, 5, 10));
      }
    },
    INSIDE_OF_WHOLE_BLOCKS(false, "a") {
      @Override
      void commit(FakeDaemon d, long request) {
        d.send(inside(request, new byte[5]));
      }
    },
    INSIDE_OF_SEVERAL(true, "a", "b") {
      @Override
      void commit(FakeDaemon d, long request) {
        d.send(inside(request, new byte[5]));
      }
    },
    INSIDE_AND_IN_A_LEASE(true, "a") {
      @Override
      void commit(FakeDaemon d, long request) {
        d.send(with(request, 5, m -> m.setLease(1).setSegment(1)));
      }
    },
    INSIDE_AND_SHORTER(true, "a") {
      @Override
      void commit(FakeDaemon d, long request) {
        d.send(with(request, 5, m -> m.setLength(0, 3)));
      }
    },
    INSIDE_AND_A_PART(true, "a") {
      @Override
      void commit(FakeDaemon d, long request) {
        d.send(with(request, 5, m -> m.setBlockLength(6)));
      }
    },
    INSIDE_AND_TOO_LARGE(true, "a") {
      @Override
      void commit(FakeDaemon d, long request) {
        d.send(inside(request, new byte[FetchCall.INLINE + 1]));
      }
    };

    final boolean pieces;
    final String[] blocks;

    Misdeed(boolean pieces, String... blocks) {
      this.pieces = pieces;
      this.blocks = blocks;
    }

    Misdeed() {
      this(false, "a", "b");
    }

    /** A block of so many bytes inside a frame that was changed. */
    static ToJvm.Builder with(long request, int length, UnaryOperator<Delivered.Builder> change) {
      ToJvm.Builder frame = inside(request, new byte[length]);
      return frame.setDelivered(change.apply(frame.getDelivered().toBuilder()));
    }

    abstract void commit(FakeDaemon daemon, long request);
  }

  private static ToJvm.Builder failed(long request, Reason reason, int block) {
    return ToJvm.newBuilder()
        .setFailed(Failed.newBuilder().setRequestId(request).setReason(reason).addBlock(block).setDetail("why"));
  }

  /** Shares given back, by lease, once this many have come. */
  private Map<Long, Integer> releases(int shares) throws InterruptedException {
    Map<Long, Integer> back = new HashMap<>();
    int sum = 0;
    while (sum < shares) {
      Release release = daemon.next().getRelease();
      for (int i = 0; i < release.getLeaseCount(); i++) {
        back.merge(release.getLease(i), release.getCount(i), Integer::sum);
        sum += release.getCount(i);
      }
    }
    return back;
  }
}
