package weft.it;

import java.io.IOException;
import java.io.Serializable;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.Paths;

/**
 * Lets a test stop a job at a known place: the job creates one file and waits for another. All hosts see the directory. Without
 * a directory every call returns at once.
 */
final class Markers implements Serializable {
  private static final long LIMIT_MS = 5 * 60 * 1000;
  private final String dir;

  /** {@code dir} may be null. */
  Markers(String dir) {
    this.dir = dir;
  }

  /** Creates {@code reached}, if no one has yet, and waits until {@code awaited} is there. */
  void pause(String reached, String awaited) {
    if (dir == null) {
      return;
    }
    Path go = Paths.get(dir, awaited);
    try {
      create(Paths.get(dir, reached));
      for (long start = System.nanoTime(); !Files.exists(go); Thread.sleep(10)) {
        if (System.nanoTime() - start > LIMIT_MS * 1_000_000) {
          throw new IllegalStateException("nobody created " + go);
        }
      }
    } catch (IOException e) {
      throw new IllegalStateException("cannot write markers: " + e, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while waiting for " + go, e);
    }
  }

  private static void create(Path file) throws IOException {
    Files.createDirectories(file.getParent());
    try {
      Files.createFile(file);
    } catch (FileAlreadyExistsException e) {
      // Another task came first.
    }
  }
}
