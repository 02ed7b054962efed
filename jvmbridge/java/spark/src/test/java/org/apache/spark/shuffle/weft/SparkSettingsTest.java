package org.apache.spark.shuffle.weft;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;

import org.apache.spark.SparkConf;
import org.junit.jupiter.api.Test;
import weft.proto.BlockProto.Reason;

class SparkSettingsTest {
  private final SparkConf conf = new SparkConf(false);

  @Test
  void localMastersHaveNoRemoteBlocks() {
    for (String local : new String[] {"local", "local[4]", "local[*]", "local[2,3]"}) {
      assertTrue(SparkSettings.isLocal(conf.set("spark.master", local)), local);
    }
    for (String cluster : new String[] {"local-cluster[2,1,1024]", "spark://h:7077", "yarn"}) {
      assertFalse(SparkSettings.isLocal(conf.set("spark.master", cluster)), cluster);
    }
  }

  @Test
  void everyKindOfEncryptionCounts() {
    assertFalse(SparkSettings.isEncrypted(conf));
    assertFalse(SparkSettings.isEncrypted(conf.clone().set("spark.authenticate", "true")));
    assertFalse(SparkSettings.isEncrypted(conf.clone().set("spark.io.encryption.enabled", "true")), "files are encrypted");
    assertTrue(SparkSettings.isEncrypted(conf.clone().set("spark.network.crypto.enabled", "true")));
    assertTrue(SparkSettings.isEncrypted(conf.clone().set("spark.ssl.rpc.enabled", "true")));
    SparkConf sasl = conf.clone().set("spark.authenticate.enableSaslEncryption", "true");
    assertFalse(SparkSettings.isEncrypted(sasl));
    assertTrue(SparkSettings.isEncrypted(sasl.set("spark.authenticate", "true")));
  }

  @Test
  void thePluginIsAddedOnce() {
    WeftPlugin.addTo(conf);
    WeftPlugin.addTo(conf);
    assertEquals("org.apache.spark.shuffle.weft.WeftPlugin", conf.get("spark.plugins"));
    SparkConf other = new SparkConf(false).set("spark.plugins", "a.B");
    WeftPlugin.addTo(other);
    assertEquals("a.B,org.apache.spark.shuffle.weft.WeftPlugin", other.get("spark.plugins"));
  }

  @Test
  void everyReasonHasAWordAndAdvice() {
    for (Reason reason : Reason.values()) {
      if (reason != Reason.UNRECOGNIZED && reason != Reason.REASON_NONE) {
        assertTrue(Traffic.word(reason).matches("[a-z_]+"));
        assertTrue(Advice.on(reason).endsWith("."), reason.name());
      }
    }
    assertTrue(Advice.on(Reason.REASON_NO_SPACE).contains("weft.app.share"), "it is not of memory alone");
  }
}
