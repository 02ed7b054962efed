package weft.conf;

import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Settings of any text: they are read, within their bounds, or refused with a line that names the key. The seed of each input is its number. */
class SettingsFuzzTest {
  private static final int INPUTS = Integer.getInteger("weft.fuzz.inputs", 20_000);
  private static final String[] GOOD = {
    "true", "FALSE", "auto", "external", "/srv/weft", "", " ", "10s", "2m", "500ms", "1h", "2147483647", "2147483648", "9999999999h", "0", "1ms", "\u0663s", "24d"
  };

  @Test
  void anyText() {
    List<Key<?>> keys = new ArrayList<>(Keys.all());
    int refused = 0;
    for (int seed = 0; seed < INPUTS; seed++) {
      Random random = new Random(seed);
      Map<String, String> conf = new HashMap<>();
      for (int n = 1 + random.nextInt(3); n > 0; n--) {
        conf.put(keys.get(random.nextInt(keys.size())).name(), changed(random, GOOD[random.nextInt(GOOD.length)]));
      }
      conf.put(Key.PREFIX + changed(random, "memory.max"), "1g");
      Settings s;
      try {
        s = Settings.of(conf, Collections.emptyMap());
      } catch (IllegalArgumentException e) {
        for (String line : e.getMessage().split("\n(?=spark)")) {
          assertTrue(conf.keySet().stream().anyMatch(line::startsWith), "seed " + seed + ": " + e.getMessage());
        }
        refused++;
        continue;
      }
      for (long ms : new long[] {s.connectTimeoutMs, s.fetchTimeoutMs, s.peerRetryMs, s.daemonGraceMs}) {
        assertTrue(ms >= 1 && ms <= Integer.MAX_VALUE, "seed " + seed + ": " + ms + " ms");
      }
      assertTrue(s.socketDir.isAbsolute(), "seed " + seed + ": " + s.socketDir);
      assertTrue(s.daemonEnvironment.keySet().stream().allMatch(k -> k.startsWith("WEFT_")), "seed " + seed);
    }
    assertTrue(refused > INPUTS / 10 && refused < INPUTS, refused + " of " + INPUTS + " were refused");
  }

  /** Some characters changed, left out or put in; or none. */
  private static String changed(Random random, String text) {
    StringBuilder s = new StringBuilder(text);
    for (int n = random.nextInt(3); n > 0; n--) {
      int at = random.nextInt(s.length() + 1);
      char c = (char) (random.nextBoolean() ? random.nextInt(128) : random.nextInt(1 << 16));
      if (random.nextBoolean() || at == s.length()) {
        s.insert(at, c);
      } else if (random.nextBoolean()) {
        s.setCharAt(at, c);
      } else {
        s.deleteCharAt(at);
      }
    }
    return s.toString();
  }
}
