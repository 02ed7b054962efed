package weft.conf;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import org.junit.jupiter.api.Test;

class SettingsTest {
  private final Map<String, String> conf = new HashMap<>();
  private final Map<String, String> env = new HashMap<>();

  private Settings settings() {
    return Settings.of(conf, env);
  }

  @Test
  void defaults() {
    Settings s = settings();
    assertTrue(s.enabled);
    assertTrue(s.startsDaemon);
    assertEquals(20_000, s.connectTimeoutMs);
    assertEquals(30_000, s.fetchTimeoutMs);
    assertEquals(10_000, s.peerRetryMs);
    assertTrue(s.keepsLocations);
    assertEquals(Paths.get("/tmp/weft-" + Settings.uid()), s.socketDir);
    assertEquals(Collections.emptyMap(), s.daemonEnvironment);
  }

  @Test
  void theSocketDirectoryIsWhereTheDaemonLooks() {
    env.put("TMPDIR", "/var/tmp");
    assertEquals(Paths.get("/var/tmp/weft-" + Settings.uid()), settings().socketDir);
    env.put("XDG_RUNTIME_DIR", "/run/user/7");
    assertEquals(Paths.get("/run/user/7/weft"), settings().socketDir);
    conf.put("spark.weft.socket.dir", "/srv/weft");
    assertEquals(Paths.get("/srv/weft"), settings().socketDir);
    conf.remove("spark.weft.socket.dir");
    env.put("XDG_RUNTIME_DIR", "run/user/7"); // which the daemon takes for none
    assertEquals(Paths.get("/var/tmp/weft-" + Settings.uid()), settings().socketDir);
  }

  /** Found by SettingsFuzzTest. */
  @Test
  void aPathThatIsNoneIsToldWithItsKey() {
    conf.put("spark.weft.socket.dir", "/srv\0weft");
    conf.put("spark.weft.enabled", "perhaps");
    String message = assertThrows(IllegalArgumentException.class, this::settings).getMessage();
    assertTrue(message.contains("spark.weft.socket.dir=") && message.contains("spark.weft.enabled="), message);
  }

  @Test
  void valuesAreRead() {
    conf.put("spark.weft.enabled", "FALSE");
    conf.put("spark.weft.daemon.mode", "external");
    conf.put("spark.weft.bigdl.locations", "false");
    conf.put("spark.weft.fetch.timeout", "1ms");
    conf.put("spark.weft.connect.timeout", "2m");
    conf.put("spark.weft.peer.retry", " 250 ");
    Settings s = settings();
    assertFalse(s.enabled);
    assertFalse(s.startsDaemon);
    assertFalse(s.keepsLocations);
    assertEquals(1, s.fetchTimeoutMs);
    assertEquals(120_000, s.connectTimeoutMs);
    assertEquals(250, s.peerRetryMs);
  }

  @Test
  void theDaemonsOptionsBecomeItsEnvironment() {
    conf.put("spark.weft.memory.session", "64m");
    conf.put("spark.weft.fetch.piece", "1m");
    conf.put("spark.weft.fetch.timeout", "5s");
    conf.put("spark.shuffle.manager", "x");
    assertEquals(Map.of("WEFT_MEMORY_SESSION", "64m", "WEFT_FETCH_PIECE", "1m"), settings().daemonEnvironment);
    assertEquals(Set.of("spark.weft.memory.session", "spark.weft.fetch.piece"), settings().daemonKeys);
  }

  @Test
  void everyErrorIsTold() {
    conf.put("spark.weft.enabled", "yes");
    conf.put("spark.weft.daemon.mode", "manual");
    conf.put("spark.weft.fetch.timeout", "fast");
    conf.put("spark.weft.connect.timeout", "0s");
    conf.put("spark.weft.daemon.grace", "99999999h");
    conf.put("spark.weft.socket.dir", "relative");
    String message = assertThrows(IllegalArgumentException.class, this::settings).getMessage();
    assertEquals(6, message.split("\n").length, message);
    assertTrue(message.contains("spark.weft.daemon.mode=manual: expected auto or external"), message);
    assertTrue(message.contains("spark.weft.fetch.timeout=fast: expected a duration"), message);
    assertTrue(message.contains("spark.weft.socket.dir=relative: expected an absolute path"), message);
  }

  @Test
  void everyKeyHasADocAndADefaultThatParses() {
    for (Key<?> key : Keys.all()) {
      assertTrue(key.name().startsWith(Key.PREFIX));
      assertTrue(key.doc().endsWith("."), key.name());
      key.parse(key.fallback());
    }
  }

  /** {@code mvn -pl core test -Dtest=SettingsTest -Dweft.write=true} writes it anew. */
  @Test
  void thePageSaysWhatTheCodeSays() throws Exception {
    Path page = Paths.get(System.getProperty("weft.testdata"), "..", "docs", "configuration.md");
    if (Boolean.getBoolean("weft.write")) {
      ConfigurationDoc.main(new String[] {page.toString()});
    }
    String text = new String(Files.readAllBytes(page), StandardCharsets.UTF_8);
    assertEquals(ConfigurationDoc.within(text), text);
  }
}
