package org.apache.spark.shuffle.weft;

import java.security.SecureRandom;
import java.util.BitSet;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.apache.spark.rpc.RpcAddress;
import org.apache.spark.rpc.RpcCallContext;
import org.apache.spark.rpc.RpcEndpoint;
import org.apache.spark.rpc.RpcEnv;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import scala.Function1;
import scala.PartialFunction;
import scala.runtime.AbstractPartialFunction;
import scala.runtime.BoxedUnit;
import weft.peers.Endpoint;
import weft.peers.EndpointTable;

/**
 * The directory, on the driver: an endpoint of Spark's RPC. Answers out of memory at once, except where an executor (or the
 * driver itself) is just opening its session. Also hands out the driver's part of the
 * application's token.
 */
final class DirectoryEndpoint implements RpcEndpoint {
  static final String NAME = "weft-directory";
  static final String DRIVER = "driver";
  private static final Logger LOG = LoggerFactory.getLogger(DirectoryEndpoint.class);

  private final RpcEnv rpcEnv;
  private final byte[] token = new byte[32];
  private final EndpointTable table = new EndpointTable();
  private final Map<RpcAddress, String> executors = new ConcurrentHashMap<>();
  private final BitSet ended = new BitSet(); // guarded by itself
  private final Supplier<CompletableFuture<Endpoint>> driver;
  private final Consumer<String> leftNothing;

  /**
   * @param driver opens the driver's own session when it is first asked, and gives its endpoint (null: none)
   * @param leftNothing told of an executor that is gone, and that no daemon serves any more. Must not wait
   */
  DirectoryEndpoint(RpcEnv rpcEnv, Supplier<CompletableFuture<Endpoint>> driver, Consumer<String> leftNothing) {
    this.rpcEnv = rpcEnv;
    this.driver = driver;
    this.leftNothing = leftNothing;
    new SecureRandom().nextBytes(token);
  }

  byte[] token() {
    return token.clone();
  }

  void end(int shuffle) {
    synchronized (ended) {
      ended.set(shuffle);
    }
  }

  BitSet ended() {
    synchronized (ended) {
      return (BitSet) ended.clone();
    }
  }

  void takeOver(String executor, Endpoint endpoint) {
    LOG.info("weft: what executor {} left is served by the daemon at {}", executor, endpoint);
    table.takeOver(executor, endpoint);
  }

  CompletableFuture<Endpoint> lookup(String executor) {
    return executor.equals(DRIVER) ? driver.get() : table.lookup(executor);
  }

  @Override
  public RpcEnv rpcEnv() {
    return rpcEnv;
  }

  @Override
  public PartialFunction<Object, BoxedUnit> receiveAndReply(RpcCallContext context) {
    return new AbstractPartialFunction<Object, BoxedUnit>() {
      @Override
      public boolean isDefinedAt(Object message) {
        return DirectoryMessages.isOurs(message);
      }

      @Override
      public <A1, B1> B1 applyOrElse(A1 message, Function1<A1, B1> otherwise) {
        if (!isDefinedAt(message)) {
          return otherwise.apply(message);
        }
        answer((Object[]) message, context);
        @SuppressWarnings("unchecked")
        B1 unit = (B1) BoxedUnit.UNIT;
        return unit;
      }
    };
  }

  private void answer(Object[] message, RpcCallContext context) {
    String executor = DirectoryMessages.executor(message);
    switch (DirectoryMessages.verb(message)) {
      case DirectoryMessages.JOIN:
        executors.put(context.senderAddress(), executor);
        table.join(executor);
        context.reply(token);
        break;
      case DirectoryMessages.ANNOUNCE:
        Endpoint endpoint = DirectoryMessages.announced(message);
        LOG.info("weft: executor {} is served by the daemon at {}", executor, endpoint);
        table.announce(executor, endpoint, DirectoryMessages.keeps(message));
        for (String other : DirectoryMessages.takenOver(message)) {
          takeOver(other, endpoint);
        }
        context.reply(DirectoryMessages.DONE);
        break;
      case DirectoryMessages.WITHDRAW:
        table.withdraw(executor);
        context.reply(DirectoryMessages.DONE);
        break;
      case DirectoryMessages.ENDED:
        context.reply(ended().toLongArray());
        break;
      case DirectoryMessages.LOOKUP:
        lookup(executor)
            .whenComplete((found, error) -> context.reply(DirectoryMessages.found(found)));
        break;
      default:
        context.sendFailure(new IllegalArgumentException("weft: unknown question to the directory"));
    }
  }

  @Override
  public void onDisconnected(RpcAddress address) {
    String executor = executors.remove(address);
    if (executor != null && !table.remove(executor)) {
      leftNothing.accept(executor);
    }
  }
}
