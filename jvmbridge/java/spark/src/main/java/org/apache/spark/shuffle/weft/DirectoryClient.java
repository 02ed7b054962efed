package org.apache.spark.shuffle.weft;

import java.util.BitSet;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.spark.SparkConf;
import org.apache.spark.rpc.RpcEndpointRef;
import org.apache.spark.rpc.RpcEnv;
import org.apache.spark.rpc.RpcTimeout;
import org.apache.spark.util.RpcUtils;
import scala.concurrent.duration.FiniteDuration;
import scala.reflect.ClassTag$;
import weft.peers.Endpoint;

/** The directory as an executor sees it. Every call waits for the driver: never from an event loop. */
final class DirectoryClient implements Directory {
  private final RpcEndpointRef driver;
  private final String executor;
  private final RpcTimeout timeout;
  private volatile byte[] token;

  /** Throws where the driver has no directory. */
  DirectoryClient(SparkConf conf, RpcEnv rpcEnv, String executor, long timeoutMs) {
    this.driver = RpcUtils.makeDriverRef(DirectoryEndpoint.NAME, conf, rpcEnv);
    this.executor = executor;
    this.timeout =
        new RpcTimeout(
            FiniteDuration.apply(timeoutMs, TimeUnit.MILLISECONDS), "spark.weft.connect.timeout");
  }

  @Override
  public byte[] join() {
    if (token == null) {
      token = (byte[]) ask(DirectoryMessages.join(executor));
    }
    return token;
  }

  @Override
  public void announce(Endpoint endpoint, boolean keeps, List<String> takenOver) {
    ask(DirectoryMessages.announce(executor, endpoint, keeps, takenOver));
  }

  @Override
  public BitSet ended() {
    return BitSet.valueOf((long[]) ask(DirectoryMessages.ended(executor)));
  }

  @Override
  public void withdraw() {
    ask(DirectoryMessages.withdraw(executor));
  }

  @Override
  public Endpoint lookup(String other) {
    return DirectoryMessages.found((Object[]) ask(DirectoryMessages.lookup(other)));
  }

  private Object ask(Object[] message) {
    return driver.askSync(message, timeout, ClassTag$.MODULE$.apply(Object.class));
  }
}
