package weft.bridge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.math.BigInteger;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class AppTokenTest {
  private static final String APP = "app-20261123-0001";

  /** The expected bytes were computed by another program. */
  @Test
  void tokensAreFixed() {
    assertEquals("e89bfbd5ed21efeea578c8d0a2f2de5842910f63e0238c6056671c89dacd58e7", hex(AppToken.derive(random(), null, APP)));
    assertEquals("e1308247b867b609ecfa05dc89ea13e36966793be4d806fce1fe527a21dc5afb", hex(AppToken.derive(random(), "gehe\u0131m", APP)));
  }

  @Test
  void everythingCounts() {
    byte[] token = AppToken.derive(random(), "secret", APP);
    byte[] other = random();
    other[31]++;
    assertFalse(Arrays.equals(token, AppToken.derive(other, "secret", APP)), "the driver's bytes");
    assertFalse(Arrays.equals(token, AppToken.derive(random(), "Secret", APP)), "Spark's secret");
    assertFalse(Arrays.equals(token, AppToken.derive(random(), null, APP)), "no secret");
    assertFalse(Arrays.equals(token, AppToken.derive(random(), "secret", APP + "2")), "the application");
  }

  @Test
  void tooFewBytesAreNoToken() {
    assertThrows(IllegalArgumentException.class, () -> AppToken.derive(new byte[31], null, APP));
  }

  private static byte[] random() {
    byte[] bytes = new byte[AppToken.LENGTH];
    for (int i = 0; i < bytes.length; i++) {
      bytes[i] = (byte) i;
    }
    return bytes;
  }

  private static String hex(byte[] bytes) {
    return String.format("%064x", new BigInteger(1, bytes));
  }
}
