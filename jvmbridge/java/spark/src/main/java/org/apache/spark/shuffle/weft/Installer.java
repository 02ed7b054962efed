package org.apache.spark.shuffle.weft;

import java.lang.reflect.Field;
import org.apache.spark.SparkEnv;
import org.apache.spark.network.BlockTransferService;
import org.apache.spark.network.shuffle.BlockStoreClient;
import org.apache.spark.storage.BlockManager;
import org.apache.spark.storage.BlockManagerMaster;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import weft.conf.Settings;

/**
 * Puts weft between Spark and its block transfer service, once per SparkEnv. Whatever goes wrong leaves Spark as it was. Comes
 * after BlockManager.initialize on executors, which casts the client of the external shuffle service to its own class.
 */
final class Installer {
  private static final Logger LOG = LoggerFactory.getLogger(Installer.class);

  private Installer() {}

  static void install(SparkEnv env) {
    try {
      if (env == null || SparkSettings.isLocal(env.conf()) || of(env) != null) {
        return;
      }
      Settings settings;
      try {
        settings = Settings.of(SparkSettings.all(env.conf()), System.getenv());
      } catch (IllegalArgumentException e) { // each of its lines says what is wrong with a key
        LOG.error("weft: could not start, blocks go by Spark's own transfer service: {}", e.getMessage().replace("\n", "; "));
        withdraw(env);
        return;
      }
      if (!settings.enabled) {
        LOG.info("weft: spark.weft.enabled=false, blocks go by Spark's own transfer service");
        return;
      }
      if (!settings.startsDaemon && !settings.daemonKeys.isEmpty()) {
        LOG.warn("weft: these keys do nothing, as the daemon runs as a service with options of its own (spark.weft.daemon.mode=external): {}."
                + " See that they are spelt right; the daemon's own options are set where it is started, without spark. in front",
            String.join(", ", settings.daemonKeys));
      }
      if (SparkSettings.isEncrypted(env.conf())) {
        LOG.info(
            "weft: Spark encrypts what goes between executors, so daemons move this application's blocks under TLS 1.3. RDMA is not used for"
                + " them, as it does not encrypt");
      } else if (SparkSettings.isAuthenticated(env.conf())) {
        LOG.info(
            "weft: spark.authenticate is on: daemons serve this application's blocks only to daemons that prove to have its secret."
                + " The blocks cross the network in clear, as with Spark's own transfer service; spark.network.crypto.enabled=true"
                + " protects them");
      }
      swap(env.blockManager(), new WeftRuntime(env, settings));
    } catch (Throwable e) { // also a class that this Spark lacks
      LOG.error("weft: could not start, blocks go by Spark's own transfer service: {}", e.getMessage(), e);
      withdraw(env);
    }
  }

  /** In the driver, takes back what was promised for the application; executors go by what the driver says. */
  private static void withdraw(SparkEnv env) {
    if (env.executorId().equals(DirectoryEndpoint.DRIVER)) {
      Outliving.withdraw(env.conf());
    }
  }

  /** What was installed, or null. */
  static WeftRuntime of(SparkEnv env) {
    if (env == null || env.blockManager() == null) {
      return null;
    }
    BlockTransferService service = env.blockManager().blockTransferService();
    return service instanceof WeftBlockTransferService
        ? ((WeftBlockTransferService) service).runtime()
        : null;
  }

  private static void swap(BlockManager blockManager, WeftRuntime runtime)
      throws ReflectiveOperationException {
    BlockTransferService stock = blockManager.blockTransferService();
    BlockStoreClient store = blockManager.blockStoreClient();
    Field serviceField = field("blockTransferService");
    Field storeField = field("blockStoreClient");
    WeftBlockTransferService service = new WeftBlockTransferService(stock, runtime);
    storeField.set(
        blockManager, store == stock ? service : new WeftBlockStoreClient(store, runtime.fetcher()));
    serviceField.set(blockManager, service);
    if (runtime.keepsLocations()) {
      keepLocations(blockManager, service);
    }
  }

  /** Where this fails it costs speed alone. */
  private static void keepLocations(BlockManager blockManager, WeftBlockTransferService service) {
    try {
      BlockManagerMaster stock = blockManager.master();
      if (stock.getClass() != BlockManagerMaster.class) {
        throw new IllegalStateException(stock.getClass().getName() + " stands in its place");
      }
      ParameterLocations locations =
          new ParameterLocations(
              stock.driverEndpoint(),
              stock.driverHeartbeatEndPoint(),
              SparkEnv.get().conf(),
              blockManager.blockInfoManager()::get,
              service.runtime().fetcher().traffic());
      service.report(locations); // first, so that no answer is kept that no failure would drop
      field("master").set(blockManager, locations);
    } catch (Throwable e) { // also a member that this Spark lacks
      LOG.warn("weft: each parameter block of BigDL's is looked up at the driver, as this Spark's BlockManagerMaster cannot be"
          + " extended: {}", e.toString());
    }
  }

  private static Field field(String name) throws ReflectiveOperationException {
    Field field = BlockManager.class.getDeclaredField(name);
    field.setAccessible(true);
    return field;
  }
}
