package weft.daemon;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/** The log of the daemons that are started in one socket directory. */
final class DaemonLog {
  /** Bytes after which the next daemon begins a new log; the one before is kept beside it. */
  static final long MAX_BYTES = 4 << 20;

  private static final int LAST_BYTES = 4 << 10;

  private final Path file;

  DaemonLog(Path socketDir) {
    this.file = socketDir.resolve("daemon.log");
  }

  Path file() {
    return file;
  }

  /** To be called before a daemon is started. One that still runs goes on writing to the file that was moved. */
  void rotate() throws IOException {
    if (Files.exists(file) && Files.size(file) > MAX_BYTES) {
      Files.move(file, file.resolveSibling("daemon.log.1"), StandardCopyOption.REPLACE_EXISTING);
    }
  }

  String lastLine() {
    try (RandomAccessFile log = new RandomAccessFile(file.toFile(), "r")) {
      byte[] end = new byte[(int) Math.min(log.length(), LAST_BYTES)];
      log.seek(log.length() - end.length);
      log.readFully(end);
      String[] lines = new String(end, StandardCharsets.UTF_8).trim().split("\n");
      return lines[lines.length - 1];
    } catch (IOException e) {
      return "no log";
    }
  }
}
