package weft.conf;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;

/** Writes Spark's part of docs/configuration.md, between its markers. */
public final class ConfigurationDoc {
  static final String BEGIN = "<!-- begin spark -->\n";
  static final String END = "<!-- end spark -->";

  private ConfigurationDoc() {}

  public static void main(String[] args) throws IOException {
    Path page = Paths.get(args[0]);
    String before = new String(Files.readAllBytes(page), StandardCharsets.UTF_8);
    Files.write(page, within(before).getBytes(StandardCharsets.UTF_8));
  }

  /** The page with the table as the code has it. */
  static String within(String page) {
    int begin = page.indexOf(BEGIN);
    int end = page.indexOf(END);
    if (begin < 0 || end < begin) {
      throw new IllegalArgumentException("the page has no lines " + BEGIN.trim() + " and " + END);
    }
    return page.substring(0, begin + BEGIN.length()) + table() + page.substring(end);
  }

  private static String table() {
    StringBuilder b = new StringBuilder("| key | type | default | meaning |\n| --- | --- | --- | --- |\n");
    for (Key<?> key : Keys.all()) {
      String fallback = key.fallback().isEmpty() ? "" : "`" + key.fallback() + "`";
      b.append(String.format("| `%s` | %s | %s | %s |%n", key.name(), key.type(), fallback, key.doc()));
    }
    return b.append("\nDurations are written `500ms`, `10s`, `2m`. Every other key `spark.weft.x.y` is the daemon's option `weft.x.y`"
            + " below: in mode auto it is\nhanded to the daemon that the executor starts (and so ignored where one runs already).\n")
        .toString();
  }
}
