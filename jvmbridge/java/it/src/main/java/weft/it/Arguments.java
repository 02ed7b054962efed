package weft.it;

import java.io.Serializable;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.HashMap;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * One entry of the command line, {@code name} or {@code name:key=value:key=value}, with the options that all jobs share. A key
 * that the job did not ask for is an error. Every job has the key {@code as}, for one that runs more than once: its label is
 * {@code name.as} then, and its markers are in a directory {@code as}.
 */
final class Arguments implements Serializable {
  final String name;
  final String label;
  private final Map<String, String> values = new HashMap<>();
  private final Set<String> unread = new TreeSet<>();
  private final String input;
  private final String markers;

  /** Input and markers are directories or null. */
  Arguments(String entry, String input, String markers) {
    String[] parts = entry.split(":");
    this.name = parts[0];
    for (int i = 1; i < parts.length; i++) {
      int equals = parts[i].indexOf('=');
      if (equals < 0) {
        throw new IllegalArgumentException("not key=value: '" + parts[i] + "' in " + entry);
      }
      values.put(parts[i].substring(0, equals), parts[i].substring(equals + 1));
    }
    String as = values.remove("as");
    this.label = as == null ? name : name + "." + as;
    this.input = input;
    this.markers = as == null || markers == null ? markers : markers + "/" + as;
    unread.addAll(values.keySet());
  }

  int get(String key, int otherwise) {
    unread.remove(key);
    return Integer.parseInt(values.getOrDefault(key, Integer.toString(otherwise)));
  }

  Path input() {
    if (input == null) {
      throw new IllegalArgumentException(name + " reads text: give --input DIR");
    }
    return Paths.get(input);
  }

  Markers markers() {
    return new Markers(markers);
  }

  void checkAllRead() {
    if (!unread.isEmpty()) {
      throw new IllegalArgumentException(name + " has no " + unread);
    }
  }
}
