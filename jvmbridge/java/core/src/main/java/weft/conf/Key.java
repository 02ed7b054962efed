package weft.conf;

import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;

/** One key of Spark's configuration. Immutable. */
public final class Key<T> {
  public static final String PREFIX = "spark.weft.";

  private final String name;
  private final String type;
  private final String fallback;
  private final String doc;
  private final Function<String, T> parser;

  private Key(String name, String type, String fallback, String doc, Function<String, T> parser) {
    this.name = PREFIX + name;
    this.type = type;
    this.fallback = fallback;
    this.doc = doc;
    this.parser = parser;
  }

  static Key<Boolean> flag(String name, boolean fallback, String doc) {
    return new Key<>(name, "boolean", Boolean.toString(fallback), doc, Key::parseFlag);
  }

  /** A duration in milliseconds: 500ms, 10s, 2m; a plain number is milliseconds. At least 1. */
  static Key<Long> time(String name, String fallback, String doc) {
    return new Key<>(name, "duration", fallback, doc, Key::parseTime);
  }

  static Key<String> text(String name, String type, String fallback, String doc) {
    return new Key<>(name, type, fallback, doc, Function.identity());
  }

  static Key<String> choice(String name, String doc, String... values) {
    List<String> all = Arrays.asList(values);
    return new Key<>(name, String.join(" or ", all), values[0], doc, s -> parseChoice(s, all));
  }

  public String name() {
    return name;
  }

  public String type() {
    return type;
  }

  /** The default as it would be written. */
  public String fallback() {
    return fallback;
  }

  public String doc() {
    return doc;
  }

  /** Throws IllegalArgumentException naming the key, the value and what is expected. */
  T parse(String value) {
    try {
      return parser.apply(value.trim());
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(name + "=" + value + ": " + e.getMessage(), e);
    }
  }

  private static Boolean parseFlag(String s) {
    if (s.equalsIgnoreCase("true") || s.equalsIgnoreCase("false")) {
      return Boolean.valueOf(s);
    }
    throw new IllegalArgumentException("expected true or false");
  }

  private static String parseChoice(String s, List<String> all) {
    String lower = s.toLowerCase(Locale.ROOT);
    if (all.contains(lower)) {
      return lower;
    }
    throw new IllegalArgumentException("expected " + String.join(" or ", all));
  }

  private static Long parseTime(String s) {
    int digits = 0;
    while (digits < s.length() && Character.isDigit(s.charAt(digits))) {
      digits++;
    }
    long unit;
    switch (s.substring(digits).toLowerCase(Locale.ROOT)) {
      case "":
      case "ms":
        unit = 1;
        break;
      case "s":
        unit = 1000;
        break;
      case "m":
      case "min":
        unit = 60_000;
        break;
      case "h":
        unit = 3_600_000;
        break;
      default:
        unit = 0;
    }
    if (unit == 0 || digits == 0 || digits > 10) {
      throw new IllegalArgumentException("expected a duration such as 500ms, 10s or 2m");
    }
    long ms = Long.parseLong(s.substring(0, digits)) * unit;
    if (ms < 1 || ms > Integer.MAX_VALUE) {
      throw new IllegalArgumentException("expected a duration between 1ms and 24 days");
    }
    return ms;
  }
}
