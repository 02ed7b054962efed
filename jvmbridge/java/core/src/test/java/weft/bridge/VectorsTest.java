package weft.bridge;

import static org.junit.jupiter.api.Assertions.assertEquals;

import com.google.protobuf.MessageLite;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.Map;
import org.junit.jupiter.api.Test;

/**
 * testdata/bridge/*.txt, which the daemon's tests read too: a line "name hex" for each frame, above it the message as a comment.
 * {@code mvn test -Dtest=VectorsTest -Dweft.write=true} writes them anew.
 */
class VectorsTest {
  private static final String HEAD =
      "# Frames of the bridge with their length: a line `name hex` each, above it the message.\n"
          + "# Written by VectorsTest (jvmbridge/java/core), read by the tests of both sides.\n";

  @Test
  void toDaemon() throws Exception {
    compare("to_daemon.txt", Vectors.toDaemon());
  }

  @Test
  void toJvm() throws Exception {
    compare("to_jvm.txt", Vectors.toJvm());
  }

  private static void compare(String file, Map<String, ? extends MessageLite> messages) throws Exception {
    Path path = Paths.get(System.getProperty("weft.testdata"), "bridge", file);
    String expected = text(messages);
    if (Boolean.getBoolean("weft.write")) {
      Files.createDirectories(path.getParent());
      Files.write(path, expected.getBytes(StandardCharsets.UTF_8));
    }
    assertEquals(new String(Files.readAllBytes(path), StandardCharsets.UTF_8), expected);
  }

  private static String text(Map<String, ? extends MessageLite> messages) {
    StringBuilder text = new StringBuilder(HEAD);
    messages.forEach(
        (name, message) -> {
          text.append('\n');
          String[] lines = message.toString().split("\n"); // the first names the Java object
          for (int i = 1; i < lines.length; i++) {
            text.append("# ").append(lines[i]).append('\n');
          }
          text.append(name).append(' ');
          byte[] body = message.toByteArray();
          text.append(String.format("%08x", body.length));
          for (byte b : body) {
            text.append(String.format("%02x", b));
          }
          text.append('\n');
        });
    return text.toString();
  }
}
