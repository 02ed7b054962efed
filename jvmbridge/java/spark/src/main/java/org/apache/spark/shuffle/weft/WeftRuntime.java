package org.apache.spark.shuffle.weft;

import java.lang.reflect.Field;
import java.util.concurrent.CompletableFuture;
import org.apache.spark.SparkEnv;
import org.apache.spark.network.BlockTransferService;
import org.apache.spark.network.shuffle.BlockStoreClient;
import org.apache.spark.storage.BlockManager;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import weft.peers.Endpoint;

final class WeftRuntime {
  private static final Logger LOG = LoggerFactory.getLogger(WeftRuntime.class);

  static void install(SparkEnv env) {
    try {
      BlockManager bm = env.blockManager();
      if (bm.blockTransferService() instanceof WeftBlockTransferService) return;
      if (env.executorId().equals("driver")) {
        DirectoryEndpoint d = new DirectoryEndpoint(env.rpcEnv(), () -> CompletableFuture.supplyAsync(() -> new Endpoint(new String[]{"driverhost"}, 1, new byte[16])));
        env.rpcEnv().setupEndpoint(DirectoryEndpoint.NAME, d);
      } else {
        long t = System.nanoTime();
        DirectoryClient c = new DirectoryClient(env.conf(), env.rpcEnv(), env.executorId(), 10000);
        byte[] token = c.join();
        LOG.warn("TRY token {} in {} us", token.length, (System.nanoTime() - t) / 1000);
        c.announce(new Endpoint(new String[]{"host-" + env.executorId()}, 7, new byte[16]));
        LOG.warn("TRY driver {} self {} none {}", c.lookup("driver"), c.lookup(env.executorId()), c.lookup("77"));
      }
      BlockTransferService stock = bm.blockTransferService();
      BlockStoreClient store = bm.blockStoreClient();
      WeftBlockTransferService ours = new WeftBlockTransferService(stock);
      set(bm, "blockTransferService", ours);
      set(bm, "blockStoreClient", store == stock ? ours : new WeftBlockStoreClient(store));
      LOG.warn("TRY installed {}", env.executorId());
    } catch (Throwable e) {
      LOG.error("TRY failed", e);
    }
  }

  static void stop(SparkEnv env) {
    LOG.warn("TRY stop {}", env == null ? null : env.executorId());
  }

  private static void set(BlockManager bm, String name, Object value) throws Exception {
    Field f = BlockManager.class.getDeclaredField(name);
    f.setAccessible(true);
    f.set(bm, value);
  }
}
