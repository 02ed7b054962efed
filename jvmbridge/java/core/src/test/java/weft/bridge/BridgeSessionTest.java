package weft.bridge;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static weft.bridge.BridgeFixture.delivered;
import static weft.bridge.BridgeFixture.pattern;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.HashSet;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import weft.proto.BlockProto.Reason;
import weft.proto.BridgeProto.FallbackReport;
import weft.proto.BridgeProto.SegmentKind;
import weft.proto.BridgeProto.ToDaemon;

@Timeout(30)
class BridgeSessionTest {
  @Test
  void aLostSessionFailsWhatIsOutstandingAndMapOutputsAreRegisteredAgain() throws Exception {
    try (BridgeFixture f = new BridgeFixture().open()) {
      f.bridge.registerMapOutput(1, 10, 4);
      f.bridge.registerMapOutput(1, 11, 4);
      f.bridge.registerMapOutput(2, 12, 1);
      f.bridge.unregisterShuffle(2);
      assertEquals("/d/1_10.data", f.daemon.next().getRegisterMapOutput().getDataPath());
      assertEquals(11, f.daemon.next().getRegisterMapOutput().getMapId());
      assertEquals(12, f.daemon.next().getRegisterMapOutput().getMapId());
      assertEquals(2, f.daemon.next().getUnregisterShuffle().getShuffleId());

      byte[] content = pattern(8, 1);
      f.daemon.addSegment(f.dir, 0, SegmentKind.SEGMENT_RECEIVE, content).close();
      RecordingSink sink = f.fetch(false, "a", "b");
      long request = f.daemon.next().getFetch().getRequestId();
      f.daemon.send(delivered(request, 1, 0, new long[] {0, 0, 8}));
      RecordingSink.Event kept = sink.next();
      f.daemon.drop();

      assertEquals(Reason.REASON_DAEMON_GONE, sink.next().reason);
      assertTrue(f.told().startsWith("opened"));
      assertEquals("lost", f.told());
      assertArrayEquals(content, kept.bytes(), "a block outlives its session");
      f.daemon.awaitSession();
      Set<Long> again = new HashSet<>();
      again.add(f.daemon.next().getRegisterMapOutput().getMapId());
      again.add(f.daemon.next().getRegisterMapOutput().getMapId());
      assertEquals(Set.of(10L, 11L), again);
      assertTrue(f.told().startsWith("opened"));
      kept.share.release(); // of the old session: the new daemon must not hear of it
      assertEquals(null, f.daemon.nextWithin(100));
      assertEquals(1, sink.ends.get(0));
      assertEquals(1, sink.ends.get(1));
    }
  }

  @Test
  void withoutADaemonFetchesFailAtOnceAndReportsWait() throws Exception {
    try (BridgeFixture f = new BridgeFixture()) {
      f.daemon.stopListening();
      RecordingSink sink = f.fetch(false, "a");
      RecordingSink.Event event = sink.next();
      assertEquals(Reason.REASON_DAEMON_GONE, event.reason);
      assertTrue(event.text.contains("no daemon at"), event.text);
      assertTrue(f.told().startsWith("failed"));
      f.bridge.reportFallback(Reason.REASON_DAEMON_GONE, 1, 0);
      f.bridge.reportFallback(Reason.REASON_DAEMON_GONE, 2, 77);

      f.daemon.listen();
      f.daemon.awaitSession();
      FallbackReport report = f.daemon.next().getFallbackReport();
      assertEquals(3, report.getBlocks());
      assertEquals(77, report.getBytes());
    }
  }

  @Test
  void aRefusalIsTold() throws Exception {
    try (BridgeFixture f = new BridgeFixture()) {
      f.daemon.refusal = "another token";
      assertEquals(false, f.bridge.open().get(10, TimeUnit.SECONDS));
      assertEquals("failed the daemon refused the session: another token", f.told());
    }
  }

  /** One of an older release, which does not know what it is asked for. */
  @Test
  void aDaemonThatDoesNotEncryptIsNotUsedWhereItWouldHaveTo() throws Exception {
    try (BridgeFixture f = new BridgeFixture()) {
      f.features = Bridge.ENCRYPT;
      f.daemon.features = ~Bridge.ENCRYPT;
      RecordingSink.Event event = f.fetch(false, "a").next();
      assertEquals(Reason.REASON_ENCRYPTED, event.reason);
      assertTrue(event.text.contains("does not encrypt"), event.text);
      String told = f.told();
      assertTrue(told.startsWith("failed it does not encrypt"), told);
      assertEquals(0, f.daemon.descriptorChannels.size(), "the session went no further than Welcome");
      assertEquals(null, f.daemon.nextWithin(100));

      f.daemon.features = Bridge.ENCRYPT; // another one takes its place
      assertTrue(f.told().startsWith("opened"));
      f.fetch(false, "a");
      assertTrue(f.daemon.next().hasFetch());
    }
  }

  @Test
  void aSilentDaemonIsGivenUpAfterTheConnectTimeout() throws Exception {
    try (BridgeFixture f = new BridgeFixture(n -> null, 5000, "300ms")) {
      f.daemon.silent = true;
      assertEquals(false, f.bridge.open().get(10, TimeUnit.SECONDS));
      assertEquals("failed the daemon did not answer in time", f.told());
    }
  }

  @Test
  void aDaemonThatLetsAFetchTimeOutIsHung() throws Exception {
    try (BridgeFixture f = new BridgeFixture(n -> null, 300, "10s").open()) {
      RecordingSink sink = f.fetch(false, "a");
      RecordingSink.Event event = sink.next();
      assertEquals(Reason.REASON_DAEMON_GONE, event.reason);
      assertTrue(event.text.contains("did not answer"), event.text);
    }
  }

  @Test
  void aFetchWaitsForTheSessionThatIsBeingOpened() throws Exception {
    try (BridgeFixture f = new BridgeFixture()) {
      RecordingSink sink = f.fetch(false, "a"); // opens it
      ToDaemon frame = f.daemon.next();
      assertEquals("a", frame.getFetch().getBlocks().getName(0));
      f.daemon.awaitSession();
      f.daemon.send(delivered(frame.getFetch().getRequestId(), 0, 0, new long[] {0, 0, 0}));
      assertEquals(0, sink.next().block);
    }
  }

  /** Event loops of bridges. */
  private static Set<Thread> loops() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(t -> t.getName().startsWith("weft-bridge"))
        .collect(Collectors.toSet());
  }

  /** Waits until no event loop is left but those before. */
  private static void join(Set<Thread> before) {
    for (Thread loop : loops()) {
      while (!before.contains(loop) && loop.isAlive()) {
        Thread.yield();
      }
    }
  }

  @Test
  void theEndInterruptsAnAnnouncementAndFailsAFetchThatComesAfterIt() throws Exception {
    AtomicReference<Thread> announcer = new AtomicReference<>();
    AtomicReference<RecordingSink> late = new AtomicReference<>();
    Set<Thread> before = loops();
    String log =
        logged(
            () -> {
              try (BridgeFixture f = new BridgeFixture()) {
                f.announcing =
                    () -> {
                      announcer.set(Thread.currentThread());
                      while (!Thread.interrupted()) { // close interrupts who asks the driver
                        LockSupport.park();
                      }
                      join(before); // the latest that it may be told
                      late.set(f.fetch(false, "a"));
                      throw new IllegalStateException((String) null);
                    };
                f.bridge.open();
                assertTrue(f.told().startsWith("opened"));
              }
              announcer.get().join();
              return null;
            });
    assertEquals("", log);
    assertEquals(Reason.REASON_DAEMON_GONE, late.get().next().reason);
  }

  @Test
  void aFailureWithoutAMessageIsNamedAndTheNextSessionIsAnnounced() throws Exception {
    AtomicInteger times = new AtomicInteger();
    String log =
        logged(
            () -> {
              try (BridgeFixture f = new BridgeFixture()) {
                f.announcing =
                    () -> {
                      if (times.incrementAndGet() == 1) {
                        throw new IllegalStateException((String) null);
                      }
                    };
                f.bridge.open();
                assertTrue(f.told().startsWith("opened"));
                assertEquals("lost", f.told());
                assertTrue(f.told().startsWith("opened"));
                return null;
              }
            });
    assertTrue(log.contains("weft: java.lang.IllegalStateException"), log);
    assertFalse(log.contains("weft: null"), log);
  }

  /** What the supervisor warns of meanwhile (simplelogger.properties has it on). */
  private static String logged(Callable<?> meanwhile) throws Exception {
    PrintStream before = System.err;
    ByteArrayOutputStream log = new ByteArrayOutputStream();
    System.setErr(new PrintStream(log, true));
    try {
      meanwhile.call();
    } finally {
      System.setErr(before);
    }
    return log.toString();
  }
}
