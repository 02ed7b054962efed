package weft.peers;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class PeersTest {
  private static final Endpoint A = new Endpoint(new String[] {"10.0.0.1"}, 1, new byte[16]);
  private static final Endpoint B = new Endpoint(new String[] {"10.0.0.2"}, 2, new byte[16]);
  private static final Endpoint C = new Endpoint(new String[] {"10.0.0.3"}, 3, new byte[16]);

  private final List<String> asked = new ArrayList<>();
  private CompletableFuture<Endpoint> answer = CompletableFuture.completedFuture(A);
  private long now = Long.MAX_VALUE - 5; // clocks wrap around
  private final PeerCache cache =
      new PeerCache(
          executor -> {
            asked.add(executor);
            return answer;
          },
          1000,
          () -> now);

  private void advance(long ms) {
    now += TimeUnit.MILLISECONDS.toNanos(ms);
  }

  @Test
  void anExecutorIsAskedForOnce() {
    answer = new CompletableFuture<>();
    CompletableFuture<Endpoint> first = cache.find("1");
    assertSame(first, cache.find("1"));
    assertFalse(first.isDone());
    answer.complete(A);
    advance(1_000_000);
    assertEquals(A, cache.find("1").join());
    assertEquals(List.of("1"), asked);
  }

  @Test
  void afterAFailureItIsAskedForAgain() {
    cache.find("1");
    cache.forget("1");
    answer = CompletableFuture.completedFuture(B);
    assertEquals(B, cache.find("1").join());
    assertEquals(2, asked.size());
  }

  @Test
  void ofManyFailuresOfOneAnswerOneHasItAskedForAgain() {
    Endpoint first = cache.find("1").join();
    cache.forget("1", first);
    answer = CompletableFuture.completedFuture(B);
    Endpoint second = cache.find("1").join();
    cache.forget("1", first);
    assertSame(second, cache.find("1").join());
    assertEquals(2, asked.size());
    answer = new CompletableFuture<>();
    cache.forget("1", second);
    CompletableFuture<Endpoint> third = cache.find("1");
    cache.forget("1", second);
    assertSame(third, cache.find("1"), "it is being asked for");
  }

  @Test
  void aPatientMemoryLeavesNobodyAloneAndTheOtherAsItIs() {
    PeerCache patient = cache.patient();
    cache.avoid("1");
    assertEquals(A, patient.find("1").join());
    assertNull(cache.find("1").join());
    answer = CompletableFuture.completedFuture(null);
    assertNull(patient.find("2").join());
    answer = CompletableFuture.completedFuture(A);
    assertEquals(A, patient.find("2").join());
  }

  @Test
  void absenceIsRememberedForAWhile() throws Exception {
    answer = CompletableFuture.completedFuture(null);
    assertNull(cache.await("1"));
    advance(999);
    assertNull(cache.find("1").join());
    assertEquals(1, asked.size());
    answer = CompletableFuture.completedFuture(A);
    advance(1);
    assertEquals(A, cache.await("1"));
  }

  @Test
  void whoCannotBeReachedIsLeftAloneForAWhile() {
    cache.find("1");
    cache.avoid("1");
    assertNull(cache.find("1").join());
    advance(1000);
    assertEquals(A, cache.find("1").join());
    assertEquals(2, asked.size());
  }

  @Test
  void aDirectoryThatFailsCountsAsAbsence() {
    answer = new CompletableFuture<>();
    answer.completeExceptionally(new IllegalStateException("driver gone"));
    assertNull(cache.find("1").join());
    PeerCache throwing = new PeerCache(e -> { throw new IllegalStateException(); }, 1000, () -> now);
    assertNull(throwing.find("1").join());
  }

  @Test
  void theTableHoldsQuestionsUntilTheExecutorIsReady() {
    EndpointTable table = new EndpointTable();
    assertNull(table.lookup("1").join(), "never heard of");
    table.join("1");
    CompletableFuture<Endpoint> early = table.lookup("1");
    assertFalse(early.isDone());
    table.announce("1", A, false);
    assertEquals(A, early.join());
    table.join("1"); // a new session of the same executor asks for the token again
    assertEquals(A, table.lookup("1").join());
    table.announce("1", B, false);
    assertEquals(B, table.lookup("1").join());
    table.withdraw("1");
    assertNull(table.lookup("1").join());
  }

  @Test
  void whoLeavesBeforeItIsReadyAnswersNobody() {
    EndpointTable table = new EndpointTable();
    table.join("1");
    CompletableFuture<Endpoint> early = table.lookup("1");
    table.remove("1");
    assertNull(early.join());
    table.remove("1");
  }

  @Test
  void whatAnExecutorLeftIsFoundAfterItsEnd() {
    EndpointTable table = new EndpointTable();
    table.announce("1", A, true);
    table.announce("2", A, true);
    table.announce("2", B, false);
    table.announce("3", A, true);
    table.withdraw("3");
    assertTrue(table.remove("1"));
    assertFalse(table.remove("2"));
    assertFalse(table.remove("3"));
    assertEquals(A, table.lookup("1").join());
    assertNull(table.lookup("2").join(), "its last daemon keeps nothing");
    assertNull(table.lookup("3").join(), "it had lost its daemon");
  }

  @Test
  void whatADaemonTookOverIsFoundThereWhenItsExecutorHasEnded() {
    EndpointTable table = new EndpointTable();
    table.takeOver("0", B);
    assertEquals(B, table.lookup("0").join(), "it has ended long ago");
    for (String executor : new String[] {"1", "2", "3"}) {
      table.join(executor);
      table.announce(executor, A, true);
    }
    table.withdraw("1");
    table.withdraw("2");
    for (String executor : new String[] {"1", "2", "3"}) {
      table.takeOver(executor, B);
    }
    assertNull(table.lookup("1").join(), "it lives, and announces itself when it has a daemon");
    table.announce("2", C, false);
    for (String executor : new String[] {"1", "2", "3"}) {
      table.remove(executor);
    }
    assertEquals(B, table.lookup("1").join());
    assertNull(table.lookup("2").join(), "it announced another daemon, which keeps nothing");
    assertEquals(B, table.lookup("3").join(), "it did not notice that its daemon was gone");
    table.remove("0");
    assertEquals(B, table.lookup("0").join());
  }
}
