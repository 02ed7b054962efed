package weft.daemon;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.DigestInputStream;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import weft.conf.Settings;

/** The daemon's binary: from the jar to a file that is run. */
final class Binary {
  /** Opens the binary anew; null when the jar has none for this platform. */
  interface Source {
    InputStream open() throws IOException;
  }

  private Binary() {}

  /** The binary in the jar. */
  static Source inJar() {
    String arch = System.getProperty("os.arch");
    String name = arch.equals("amd64") ? "x86_64" : arch.equals("aarch64") ? "aarch_64" : arch;
    String resource = "META-INF/weft/linux-" + name + "/weft";
    return () -> Binary.class.getClassLoader().getResourceAsStream(resource);
  }

  /**
   * Puts the binary into the directory under a name with its hash, unless it is there already.
   *
   * @return the file, which has the bytes of the source, belongs to this user and is writable by nobody else
   */
  static Path extract(Source source, Path dir) throws IOException {
    String hash;
    try (InputStream in = source.open()) {
      if (in == null) {
        throw new IOException(
            "this jar has no daemon for " + System.getProperty("os.arch")
                + ": build it in with make, or run the daemon as a service and set spark.weft.daemon.mode=external");
      }
      hash = sha256(in, null);
    }
    Path file = dir.resolve("weft-" + hash);
    if (isGood(file, hash)) {
      return file;
    }
    Path partial = Files.createTempFile(dir, "weft-", ".part",
        PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")));
    try {
      try (InputStream in = source.open();
          OutputStream out = Files.newOutputStream(partial)) {
        sha256(in, out);
      }
      Files.move(partial, file, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(partial);
    }
    if (!isGood(file, hash)) {
      throw new IOException(file + " is not what was written: is the disk full or " + dir + " shared?");
    }
    return file;
  }

  private static boolean isGood(Path file, String hash) throws IOException {
    if (!Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)
        || !Files.getAttribute(file, "unix:uid", LinkOption.NOFOLLOW_LINKS).equals(Settings.uid())
        || !PosixFilePermissions.toString(Files.getPosixFilePermissions(file)).equals("rwx------")) {
      return false;
    }
    try (InputStream in = Files.newInputStream(file)) {
      return sha256(in, null).equals(hash);
    }
  }

  /** The hash of all bytes, which are copied to {@code out} where it is not null. */
  private static String sha256(InputStream in, OutputStream out) throws IOException {
    try {
      MessageDigest digest = MessageDigest.getInstance("SHA-256");
      DigestInputStream hashed = new DigestInputStream(in, digest);
      byte[] buffer = new byte[1 << 16];
      for (int n = hashed.read(buffer); n >= 0; n = hashed.read(buffer)) {
        if (out != null) {
          out.write(buffer, 0, n);
        }
      }
      StringBuilder hex = new StringBuilder();
      for (byte b : digest.digest()) {
        hex.append(String.format("%02x", b));
      }
      return hex.toString();
    } catch (NoSuchAlgorithmException e) {
      throw new IOException(e);
    }
  }
}
