package org.apache.spark.shuffle.weft;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.ObjectInputStream;
import java.io.ObjectOutputStream;
import java.io.ObjectStreamClass;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import org.apache.spark.rpc.RpcAddress;
import org.apache.spark.rpc.RpcCallContext;
import org.junit.jupiter.api.Test;
import weft.peers.Endpoint;

class DirectoryTest {
  private static final Endpoint A = new Endpoint(new String[] {"10.0.0.1", "fd00::1"}, 7400, new byte[16]);
  private static final Endpoint DRIVER = new Endpoint(new String[] {"10.0.0.9"}, 1, new byte[16]);

  private final CompletableFuture<Endpoint> driver = new CompletableFuture<>();
  private final List<String> leftNothing = new ArrayList<>();
  private final DirectoryEndpoint directory = new DirectoryEndpoint(null, () -> driver, e -> leftNothing.add(e));

  @Test
  void executorsJoinAnnounceAndAreFound() throws Exception {
    Call join = ask("h1", DirectoryMessages.join("1"));
    assertArrayEquals(directory.token(), (byte[]) join.answer);
    assertEquals(32, directory.token().length);
    Call early = ask("h2", DirectoryMessages.lookup("1"));
    assertNull(early.answer, "held until it has announced");
    ask("h1", DirectoryMessages.announce("1", A, false, List.of()));
    assertEquals(A, DirectoryMessages.found((Object[]) early.answer));
    assertEquals(A, found("1"));
    assertNull(found("2"));
    ask("h1", DirectoryMessages.withdraw("1"));
    assertNull(found("1"));
  }

  @Test
  void anExecutorThatDisconnectsIsForgotten() throws Exception {
    ask("h1", DirectoryMessages.join("1"));
    ask("h1", DirectoryMessages.announce("1", A, false, List.of()));
    directory.onDisconnected(new RpcAddress("h7", 1));
    assertEquals(A, found("1"));
    assertEquals(List.of(), leftNothing, "of a stranger nothing is told");
    directory.onDisconnected(new RpcAddress("h1", 1));
    assertNull(found("1"));
    assertEquals(List.of("1"), leftNothing);
  }

  @Test
  void anExecutorWhoseDaemonKeepsWhatItLeftIsNot() throws Exception {
    ask("h1", DirectoryMessages.join("1"));
    ask("h1", DirectoryMessages.announce("1", A, true, List.of()));
    directory.onDisconnected(new RpcAddress("h1", 1));
    assertEquals(A, found("1"));
    assertEquals(List.of(), leftNothing);
  }

  @Test
  void whoComesToADaemonThatTookOverAnnouncesThoseThatHaveEnded() throws Exception {
    Endpoint next = new Endpoint(new String[] {"10.0.0.1"}, 7401, new byte[16]);
    ask("h1", DirectoryMessages.join("1"));
    ask("h1", DirectoryMessages.announce("1", A, true, List.of()));
    ask("h2", DirectoryMessages.join("2"));
    ask("h2", DirectoryMessages.announce("2", A, true, List.of()));
    directory.onDisconnected(new RpcAddress("h1", 1));
    ask("h3", DirectoryMessages.join("3"));
    ask("h3", DirectoryMessages.announce("3", next, true, List.of("1", "2")));
    assertEquals(next, found("1"));
    assertEquals(A, found("2"), "it lives and has not said that it lost its daemon");
    assertEquals(next, found("3"));
    directory.onDisconnected(new RpcAddress("h2", 1));
    assertEquals(next, found("2"), "it ended before it could announce itself");
  }

  @Test
  void endedShufflesAreToldToWhoComesLater() throws Exception {
    assertArrayEquals(new long[0], (long[]) ask("h1", DirectoryMessages.ended("1")).answer);
    directory.end(3);
    directory.end(64);
    assertArrayEquals(new long[] {8, 1}, (long[]) ask("h1", DirectoryMessages.ended("1")).answer);
  }

  @Test
  void askingForTheDriverOpensItsSession() throws Exception {
    Call call = ask("h1", DirectoryMessages.lookup("driver"));
    assertNull(call.answer);
    driver.complete(DRIVER);
    assertEquals(DRIVER, DirectoryMessages.found((Object[]) call.answer));
  }

  @Test
  void aDriverWithoutADaemonIsAbsent() throws Exception {
    driver.completeExceptionally(new IllegalStateException());
    assertNull(found("driver"));
  }

  @Test
  void strangeMessagesAreNotOurs() {
    for (Object message : new Object[] {"x", 1, new Object[0], new Object[] {"weft.join"}, new String[] {null, "a"}}) {
      assertFalse(directory.receiveAndReply(new Call("h")).isDefinedAt(message));
    }
    Call call = new Call("h");
    directory.receiveAndReply(call).apply(new Object[] {"weft.unknown", "1"});
    assertTrue(call.failure instanceof IllegalArgumentException);
  }

  private Endpoint found(String executor) throws Exception {
    return DirectoryMessages.found((Object[]) ask("h3", DirectoryMessages.lookup(executor)).answer);
  }

  private Call ask(String host, Object[] message) throws Exception {
    Call call = new Call(host);
    directory.receiveAndReply(call).apply(travel(message));
    call.answer = travel(call.answer);
    return call;
  }

  /** By Java serialisation, as Spark's RPC does, past a receiver that knows the JDK alone. */
  private static Object travel(Object message) throws Exception {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ObjectOutputStream out = new ObjectOutputStream(bytes)) {
      out.writeObject(message);
    }
    try (ObjectInputStream in =
        new ObjectInputStream(new ByteArrayInputStream(bytes.toByteArray())) {
          @Override
          protected Class<?> resolveClass(ObjectStreamClass c) throws ClassNotFoundException {
            return Class.forName(c.getName(), false, ClassLoader.getPlatformClassLoader());
          }
        }) {
      return in.readObject();
    }
  }

  private static final class Call implements RpcCallContext {
    private final String host;
    private Object answer;
    private Throwable failure;

    Call(String host) {
      this.host = host;
    }

    @Override
    public void reply(Object response) {
      answer = response;
    }

    @Override
    public void sendFailure(Throwable e) {
      failure = e;
    }

    @Override
    public RpcAddress senderAddress() {
      return new RpcAddress(host, 1);
    }
  }
}
