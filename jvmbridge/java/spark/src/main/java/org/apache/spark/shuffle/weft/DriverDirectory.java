package org.apache.spark.shuffle.weft;

import java.util.BitSet;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.apache.spark.rpc.RpcEnv;
import weft.peers.Endpoint;

/** The directory as the driver sees it, which has it. */
final class DriverDirectory implements Directory {
  private final DirectoryEndpoint endpoint;
  private final long timeoutMs;
  private volatile Endpoint own;

  /**
   * @param open opens the driver's session where nobody has; done when the attempt is over
   * @param leftNothing told of an executor that is gone, and that no daemon serves any more. Must not wait
   */
  DriverDirectory(RpcEnv rpcEnv, Supplier<CompletableFuture<?>> open, Consumer<String> leftNothing, long timeoutMs) {
    this.timeoutMs = timeoutMs;
    this.endpoint = new DirectoryEndpoint(rpcEnv, () -> open.get().thenApply(done -> own), leftNothing);
    rpcEnv.setupEndpoint(DirectoryEndpoint.NAME, endpoint);
  }

  @Override
  public byte[] join() {
    return endpoint.token();
  }

  @Override
  public void announce(Endpoint mine, boolean keeps, List<String> takenOver) {
    own = mine;
    takenOver.forEach(executor -> endpoint.takeOver(executor, mine));
  }

  /** A shuffle has ended. */
  void end(int shuffle) {
    endpoint.end(shuffle);
  }

  @Override
  public BitSet ended() {
    return endpoint.ended();
  }

  @Override
  public void withdraw() {
    own = null;
  }

  @Override
  public Endpoint lookup(String executor) throws Exception {
    return endpoint.lookup(executor).get(timeoutMs, TimeUnit.MILLISECONDS);
  }
}
