package weft.daemon;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import weft.conf.Settings;

@Timeout(30)
class DaemonLauncherTest {
  @TempDir Path tmp;

  private Path dir() {
    return tmp.resolve("sockets");
  }

  private DaemonLauncher launcher(String script) {
    Map<String, String> conf = new HashMap<>();
    conf.put("spark.weft.socket.dir", dir().toString());
    conf.put("spark.weft.memory.max", "2g");
    return new DaemonLauncher(Settings.of(conf, new HashMap<>()), source(script));
  }

  private static Binary.Source source(String script) {
    return () -> new ByteArrayInputStream(("#!/bin/sh\n" + script).getBytes(StandardCharsets.UTF_8));
  }

  private String log() throws IOException {
    return new String(Files.readAllBytes(dir().resolve("daemon.log")), StandardCharsets.UTF_8);
  }

  private List<Path> binaries() throws IOException {
    try (Stream<Path> files = Files.list(dir())) {
      return files.filter(f -> f.getFileName().toString().startsWith("weft-")).collect(Collectors.toList());
    }
  }

  @Test
  void theDaemonIsStartedWithItsOptions() throws Exception {
    DaemonLauncher launcher = launcher("echo \"$@\" max=$WEFT_MEMORY_MAX; exit 9\n");
    launcher.launch();
    IOException failed = untilItFails(launcher);
    assertTrue(failed.getMessage().contains("ended with status 9"), failed.getMessage());
    String expected = "daemon --socket-dir " + dir() + " --daemon-grace 10000ms max=2g";
    assertTrue(failed.getMessage().contains(expected), failed.getMessage());
    assertEquals(expected, log().trim());
    assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(dir())));
    Path binary = binaries().get(0);
    assertEquals("weft-".length() + 64, binary.getFileName().toString().length());
    assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(binary)));
  }

  @Test
  void aLongLogIsPutAside() throws Exception {
    Files.createDirectories(dir());
    Files.setPosixFilePermissions(dir(), PosixFilePermissions.fromString("rwx------"));
    byte[] old = new byte[(int) DaemonLog.MAX_BYTES + 1];
    Files.write(dir().resolve("daemon.log"), old);
    DaemonLauncher launcher = launcher("echo new; exit 9\n");
    launcher.launch();
    assertTrue(untilItFails(launcher).getMessage().contains("status 9: new"));
    assertEquals("new\n", log());
    assertEquals(old.length, Files.size(dir().resolve("daemon.log.1")));
  }

  @Test
  void onlyOneIsStartedAtATime() throws Exception {
    DaemonLauncher launcher = launcher("echo started; exec sleep 20\n");
    for (int i = 0; i < 10; i++) {
      launcher.launch();
    }
    awaitLog("started\n");
    launcher.launch();
    assertEquals("started\n", log());
    launcher.process().destroyForcibly().waitFor();
  }

  @Test
  void anotherDaemonInTheDirectoryIsNoError() throws Exception {
    DaemonLauncher launcher = launcher("echo other; exit 3\n");
    launcher.launch();
    awaitLog("other\n");
    for (int i = 0; i < 20; i++) {
      launcher.launch(); // the other one is given time to come up
    }
    assertEquals("other\n", log());
  }

  @Test
  void aDaemonThatWasKilledIsStartedAgain() throws Exception {
    DaemonLauncher launcher = launcher("echo started; exec sleep 20\n");
    launcher.launch();
    awaitLog("started\n");
    launcher.process().destroyForcibly().waitFor();
    while (!log().equals("started\nstarted\n")) {
      launcher.launch();
      Thread.sleep(20);
    }
    launcher.process().destroyForcibly().waitFor();
  }

  @Test
  void aBinaryThatWasTamperedWithIsReplaced() throws Exception {
    SocketDirectory.ensure(dir());
    Path first = Binary.extract(source("exit 1"), dir());
    byte[] good = Files.readAllBytes(first);
    assertEquals(first, Binary.extract(source("exit 1"), dir()));
    Files.write(first, "#!/bin/sh\nexit 2".getBytes(StandardCharsets.UTF_8));
    assertEquals(first, Binary.extract(source("exit 1"), dir()));
    assertEquals(new String(good), new String(Files.readAllBytes(first)));
    Files.setPosixFilePermissions(first, PosixFilePermissions.fromString("rwxrwxrwx"));
    Binary.extract(source("exit 1"), dir());
    assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(first)));
    assertEquals(1, binaries().size(), "nothing partial is left");
  }

  @Test
  void aDirectoryOfOthersIsRefused() throws Exception {
    Files.createDirectory(dir());
    Files.setPosixFilePermissions(dir(), PosixFilePermissions.fromString("rwxrwx---"));
    IOException open = assertThrows(IOException.class, () -> launcher("exit 0").launch());
    assertTrue(open.getMessage().contains("chmod 0700"), open.getMessage());
    Files.delete(dir());
    Files.createSymbolicLink(dir(), tmp);
    assertThrows(IOException.class, () -> launcher("exit 0").launch());
  }

  @Test
  void aJarWithoutTheDaemonSaysSo() {
    IOException none = assertThrows(IOException.class, () -> Binary.extract(() -> null, tmp));
    assertTrue(none.getMessage().contains("has no daemon"), none.getMessage());
  }

  private static IOException untilItFails(DaemonLauncher launcher) throws InterruptedException {
    while (true) {
      try {
        launcher.launch();
        Thread.sleep(1);
      } catch (IOException e) {
        return e;
      }
    }
  }

  private void awaitLog(String text) throws Exception {
    while (!log().equals(text)) {
      Thread.sleep(1); // bounded by the test's time-out
    }
  }
}
