package weft.bench;

import com.sun.management.ThreadMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.util.HashMap;
import java.util.Map;
import java.util.regex.Pattern;

/**
 * CPU seconds of all executors and weft daemons of this machine (all test hosts share its process table), from /proc/PID/stat,
 * and bytes allocated on the heap of this JVM by all its threads.
 */
final class Usage {
  private static final double TICKS_PER_SECOND = 100; // USER_HZ, fixed in the kernel's interface
  private static final Pattern DAEMON = Pattern.compile("weft\\S* daemon ");
  private final ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
  private Map<Path, Long> ticks = new HashMap<>();
  private Map<Long, Long> allocated = new HashMap<>();
  private double cpuSeconds;
  private long allocatedBytes;

  void start() {
    ticks = ticks();
    allocated = allocated();
  }

  void stop() {
    Map<Long, Long> nowAllocated = allocated();
    Map<Path, Long> nowTicks = ticks();
    allocatedBytes = difference(allocated, nowAllocated);
    cpuSeconds = difference(ticks, nowTicks) / TICKS_PER_SECOND;
  }

  double cpuSeconds() {
    return cpuSeconds;
  }

  long allocatedBytes() {
    return allocatedBytes;
  }

  private static <K> long difference(Map<K, Long> before, Map<K, Long> after) {
    long sum = 0;
    for (Map.Entry<K, Long> e : after.entrySet()) {
      sum += e.getValue() - before.getOrDefault(e.getKey(), 0L);
    }
    return sum;
  }

  private Map<Long, Long> allocated() {
    long[] ids = threads.getAllThreadIds();
    long[] bytes = threads.getThreadAllocatedBytes(ids);
    Map<Long, Long> m = new HashMap<>();
    for (int i = 0; i < ids.length; i++) {
      m.put(ids[i], Math.max(0, bytes[i]));
    }
    return m;
  }

  private static Map<Path, Long> ticks() {
    Map<Path, Long> m = new HashMap<>();
    try (DirectoryStream<Path> dirs = Files.newDirectoryStream(Paths.get("/proc"), "[0-9]*")) {
      for (Path dir : dirs) {
        try {
          String cmd = read(dir.resolve("cmdline")).replace('\0', ' ');
          if (cmd.contains("ExecutorBackend") || DAEMON.matcher(cmd).find()) {
            String[] f = read(dir.resolve("stat")).replaceFirst("^.*\\) ", "").split(" ");
            m.put(dir, Long.parseLong(f[11]) + Long.parseLong(f[12])); // utime, stime: fields 14 and 15 of proc(5)
          }
        } catch (IOException e) {
          continue; // the process ended while we looked
        }
      }
    } catch (IOException e) {
      throw new IllegalStateException("cannot read /proc", e);
    }
    return m;
  }

  private static String read(Path p) throws IOException {
    return new String(Files.readAllBytes(p), StandardCharsets.UTF_8);
  }
}
