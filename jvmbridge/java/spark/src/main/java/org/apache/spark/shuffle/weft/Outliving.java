package org.apache.spark.shuffle.weft;

import java.util.Arrays;
import org.apache.spark.MapOutputTrackerMaster;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkEnv;
import org.apache.spark.shuffle.api.ShuffleDriverComponents;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import weft.conf.Settings;

/**
 * Tells Spark that map outputs outlive their executors, where weft can hold that. The driver decides when it makes the shuffle manager, which
 * Spark does before it reads any of these keys, and before executors are given its configuration.
 */
final class Outliving {
  private static final Logger LOG = LoggerFactory.getLogger(Outliving.class);
  private static final String DATA_IO = "spark.shuffle.sort.io.plugin.class";
  private static final String SAME_HOST_DISK = "spark.shuffle.readHostLocalDisk";
  private static final String TRACKING = "spark.dynamicAllocation.shuffleTracking.enabled";
  private static final String ATTEMPTS = "spark.stage.maxConsecutiveAttempts";
  private static final String MIGRATION = "spark.storage.decommission.shuffleBlocks.enabled";

  private Outliving() {}

  /** Whether it was promised for this application: the same answer in the driver and in every executor. */
  static boolean isOn(SparkConf conf) {
    return conf.get(DATA_IO, "").equals(WeftShuffleDataIO.class.getName());
  }

  /** In the driver: promises it where it can be held; else says why not, and leaves everything as it was. */
  static void promise(SparkConf conf) {
    if (!conf.get("spark.executor.id", "").equals(DirectoryEndpoint.DRIVER) || SparkSettings.isLocal(conf)) {
      return;
    }
    Settings settings;
    try {
      settings = Settings.of(SparkSettings.all(conf), System.getenv());
    } catch (IllegalArgumentException e) { // they are wrong, which is told where weft starts
      withdraw(conf);
      return;
    }
    try {
      String why = obstacle(conf, settings);
      if (why == null) {
        promised(conf);
        LOG.info("weft: map outputs outlive their executors (spark.weft.outlive)");
      } else {
        withdraw(conf);
        LOG.info("weft: map outputs end with their executors, as ever: {}", why);
      }
    } catch (RuntimeException | LinkageError e) {
      withdraw(conf);
      LOG.info("weft: map outputs end with their executors, as ever: {}", e.toString());
    }
  }

  /**
   * Takes back what was promised: by an earlier manager, where this configuration is a copy of its; or by this one, where the driver's part of
   * weft does not start. Spark reads these keys after that.
   */
  static void withdraw(SparkConf conf) {
    if (isOn(conf)) {
      for (String key : new String[] {DATA_IO, SAME_HOST_DISK, TRACKING, ATTEMPTS, MIGRATION}) {
        conf.remove(key);
      }
    }
  }

  private static void promised(SparkConf conf) {
    conf.set(DATA_IO, WeftShuffleDataIO.class.getName());
    // Spark asks the executor itself for its directories, and takes its not answering for the loss of its map outputs.
    conf.set(SAME_HOST_DISK, "false");
    // Executors would be kept for their map outputs; since 3.4 by default.
    conf.setIfMissing(TRACKING, "false");
    // Where a daemon is lost, each attempt of a stage may learn of one of its executors only, and after four Spark would give the job up.
    conf.setIfMissing(ATTEMPTS, "100");
    // A leaving executor need not move what is kept, and to where it would move it no daemon is told of it.
    conf.setIfMissing(MIGRATION, "false");
  }

  /** In the driver: takes it back for one executor, which has ended. Its tasks run again before they are asked for, as ever. */
  static void forget(SparkEnv env, String executor) {
    ((MapOutputTrackerMaster) env.mapOutputTracker()).removeOutputsOnExecutor(executor);
  }

  /** Why it cannot be promised, or null. */
  static String obstacle(SparkConf conf, Settings settings) {
    if (!settings.enabled || !settings.outlives) {
      return settings.enabled ? "spark.weft.outlive=false" : "spark.weft.enabled=false";
    }
    if (!hasSwitch()) {
      return "this Spark takes them for lost with the executor (it has been told otherwise from 3.5 on)";
    }
    if (SparkSettings.reusesMapIds(conf)) {
      return "spark.shuffle.useOldFetchProtocol=true";
    }
    if (conf.getBoolean("spark.shuffle.service.enabled", false)) {
      return "the external shuffle service serves them on";
    }
    if (conf.contains(DATA_IO) && !isOn(conf)) {
      return DATA_IO + " is set";
    }
    if (conf.getBoolean(SAME_HOST_DISK, false)) {
      return SAME_HOST_DISK + "=true";
    }
    return clusterObstacle(conf.get("spark.master", ""), settings);
  }

  /** Files must stay when the executor is gone, and a daemon must not go with it. */
  private static String clusterObstacle(String master, Settings settings) {
    if (master.startsWith("spark://") || master.startsWith("local-cluster")) {
      return null;
    }
    if (!master.equals("yarn")) {
      return "an executor's files go with its container under " + master;
    }
    return settings.startsDaemon
        ? "a daemon that an executor starts goes with its container; run it as a service (spark.weft.daemon.mode=external)"
        : null;
  }

  private static boolean hasSwitch() {
    return Arrays.stream(ShuffleDriverComponents.class.getMethods())
        .anyMatch(m -> m.getName().equals("supportsReliableStorage"));
  }
}
