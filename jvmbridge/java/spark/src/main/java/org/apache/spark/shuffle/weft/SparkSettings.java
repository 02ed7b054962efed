package org.apache.spark.shuffle.weft;

import java.util.HashMap;
import java.util.Map;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkEnv;
import org.apache.spark.network.util.MapConfigProvider;
import org.apache.spark.network.util.TransportConf;
import scala.Tuple2;

/** What weft wants to know of Spark's own configuration. */
final class SparkSettings {
  private SparkSettings() {}

  static Map<String, String> all(SparkConf conf) {
    Map<String, String> map = new HashMap<>();
    for (Tuple2<String, String> entry : conf.getAll()) {
      map.put(entry._1(), entry._2());
    }
    return map;
  }

  /** Driver and executor in one JVM: no remote block ever. */
  static boolean isLocal(SparkConf conf) {
    String master = conf.get("spark.master", "");
    return master.startsWith("local") && !master.startsWith("local-cluster");
  }

  /** Whether Spark encrypts what goes between executors. */
  static boolean isEncrypted(SparkConf conf) {
    return conf.getBoolean("spark.network.crypto.enabled", false)
        || conf.getBoolean("spark.ssl.rpc.enabled", false)
        || (isAuthenticated(conf)
            && conf.getBoolean("spark.authenticate.enableSaslEncryption", false));
  }

  /** Whether executors prove to each other who they are. */
  static boolean isAuthenticated(SparkConf conf) {
    return conf.getBoolean("spark.authenticate", false);
  }

  /** What spark.authenticate's executors prove to have, from wherever Spark has it; null where that is off. */
  static String secret(SparkEnv env) {
    return isAuthenticated(env.conf()) ? env.securityManager().getSecretKey() : null;
  }

  /** Map outputs are named by map index then, and a retried task writes the same files anew. */
  static boolean reusesMapIds(SparkConf conf) {
    return conf.getBoolean("spark.shuffle.useOldFetchProtocol", false);
  }

  /** Where the driver's RPC listens, as executors know it. */
  static String driverAddress(SparkConf conf) {
    return conf.get("spark.driver.host") + ":" + conf.get("spark.driver.port");
  }

  static TransportConf transportConf(SparkConf conf) {
    return new TransportConf("shuffle", new MapConfigProvider(all(conf)));
  }
}
