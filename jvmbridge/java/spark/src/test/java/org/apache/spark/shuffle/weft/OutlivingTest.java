package org.apache.spark.shuffle.weft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.Collections;
import org.apache.spark.SparkConf;
import org.apache.spark.shuffle.ShuffleDataIOUtils;
import org.junit.jupiter.api.Test;
import weft.conf.Settings;

class OutlivingTest {
  private final SparkConf conf =
      new SparkConf(false).set("spark.master", "spark://h:7077").set("spark.executor.id", "driver").set("spark.weft.outlive", "true");

  private static String obstacle(SparkConf conf) {
    return Outliving.obstacle(conf, Settings.of(SparkSettings.all(conf), Collections.emptyMap()));
  }

  @Test
  void theDriverPromisesItWithEveryKeyThatSparkNeeds() {
    Outliving.promise(conf);
    assertTrue(Outliving.isOn(conf));
    assertTrue(ShuffleDataIOUtils.loadShuffleDataIO(conf).driver().supportsReliableStorage());
    assertEquals("false", conf.get("spark.shuffle.readHostLocalDisk"));
    assertEquals("false", conf.get("spark.dynamicAllocation.shuffleTracking.enabled"));
    assertNull(obstacle(conf), "a second manager of the same driver says the same");
  }

  @Test
  void aUsersTrackingStays() {
    Outliving.promise(conf.set("spark.dynamicAllocation.shuffleTracking.enabled", "true"));
    assertTrue(Outliving.isOn(conf));
    assertEquals("true", conf.get("spark.dynamicAllocation.shuffleTracking.enabled"));
  }

  @Test
  void itIsPromisedOnlyWhereItIsAskedFor() {
    Outliving.promise(conf.remove("spark.weft.outlive"));
    assertFalse(Outliving.isOn(conf));
  }

  @Test
  void anotherApplicationDoesNotInheritIt() {
    Outliving.promise(conf);
    Outliving.promise(conf.set("spark.weft.outlive", "false"));
    assertFalse(Outliving.isOn(conf));
    assertFalse(conf.contains("spark.shuffle.readHostLocalDisk"));
    assertFalse(conf.contains("spark.stage.maxConsecutiveAttempts"));
  }

  @Test
  void whereItCannotBeHeldNothingChanges() {
    String[][] obstacles = {
      {"spark.weft.outlive", "false"},
      {"spark.weft.enabled", "false"},
      {"spark.weft.outlive", "perhaps"},
      {"spark.shuffle.useOldFetchProtocol", "true"},
      {"spark.shuffle.service.enabled", "true"},
      {"spark.shuffle.sort.io.plugin.class", "a.Nother"},
      {"spark.shuffle.readHostLocalDisk", "true"},
      {"spark.master", "k8s://https://h"},
      {"spark.master", "yarn"},
      {"spark.master", "local[2]"},
      {"spark.executor.id", "1"},
    };
    for (String[] obstacle : obstacles) {
      SparkConf other = conf.clone().set(obstacle[0], obstacle[1]);
      SparkConf before = other.clone();
      Outliving.promise(other);
      assertEquals(SparkSettings.all(before), SparkSettings.all(other), obstacle[0]);
      assertFalse(Outliving.isOn(other));
    }
  }

  @Test
  void itIsPromisedToAnApplicationThatEncryptsToo() {
    assertNull(obstacle(conf.clone().set("spark.network.crypto.enabled", "true")));
    assertNull(obstacle(conf.clone().set("spark.ssl.rpc.enabled", "true")));
    assertNull(obstacle(conf.set("spark.authenticate", "true").set("spark.authenticate.enableSaslEncryption", "true")));
  }

  @Test
  void aDaemonUnderYarnMustNotGoWithAContainer() {
    conf.set("spark.master", "yarn");
    assertTrue(obstacle(conf).contains("spark.weft.daemon.mode=external"));
    assertNull(obstacle(conf.set("spark.weft.daemon.mode", "external")));
  }
}
