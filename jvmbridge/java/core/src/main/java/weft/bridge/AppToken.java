package weft.bridge;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * An application's token, which its daemons prove to each other that they have: HKDF-SHA-256 (RFC 5869) over the driver's random bytes and
 * Spark's secret. Who has only one of the two does not have the token, and Spark's secret cannot be found from it.
 */
public final class AppToken {
  public static final int LENGTH = 32;
  private static final String ALGORITHM = "HmacSHA256";
  private static final String SALT = "weft application token 1";

  private AppToken() {}

  /**
   * @param random LENGTH bytes that the application's driver made
   * @param secret spark.authenticate's; null where that is off
   */
  public static byte[] derive(byte[] random, String secret, String appId) {
    if (random.length != LENGTH) {
      throw new IllegalArgumentException("weft: the driver gave " + random.length + " random bytes, not " + LENGTH);
    }
    byte[] spark = secret == null ? new byte[0] : utf8(secret);
    byte[] material = Arrays.copyOf(random, random.length + spark.length);
    System.arraycopy(spark, 0, material, random.length, spark.length);
    return expand(hmac(utf8(SALT), material), utf8(appId));
  }

  /** HKDF-Expand for one block. */
  private static byte[] expand(byte[] key, byte[] info) {
    byte[] block = Arrays.copyOf(info, info.length + 1);
    block[info.length] = 1;
    return hmac(key, block);
  }

  private static byte[] hmac(byte[] key, byte[] data) {
    try {
      Mac mac = Mac.getInstance(ALGORITHM);
      mac.init(new SecretKeySpec(key, ALGORITHM));
      return mac.doFinal(data);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("weft: this Java lacks " + ALGORITHM + ", which each has to have", e);
    }
  }

  private static byte[] utf8(String s) {
    return s.getBytes(StandardCharsets.UTF_8);
  }
}
