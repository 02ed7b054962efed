package weft.daemon;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import weft.conf.Settings;

/** The directory that the daemon's sockets are in. */
final class SocketDirectory {
  private static final Set<PosixFilePermission> OWNER_ONLY = PosixFilePermissions.fromString("rwx------");

  private SocketDirectory() {}

  /** Makes the directory with mode 0700 where it is missing; throws where it is not the own user's alone. */
  static void ensure(Path dir) throws IOException {
    try {
      Files.createDirectories(dir.getParent());
      Files.createDirectory(dir, PosixFilePermissions.asFileAttribute(OWNER_ONLY));
    } catch (FileAlreadyExistsException e) {
      // checked below, like a new one
    }
    if (!Files.isDirectory(dir, LinkOption.NOFOLLOW_LINKS)) {
      throw new IOException(dir + " is not a directory: remove it, or set spark.weft.socket.dir");
    }
    Object owner = Files.getAttribute(dir, "unix:uid", LinkOption.NOFOLLOW_LINKS);
    if (!owner.equals(Settings.uid())) {
      throw new IOException(
          dir + " belongs to user " + owner + ", not to this executor's: set spark.weft.socket.dir to a directory of its own");
    }
    if (!Files.getPosixFilePermissions(dir, LinkOption.NOFOLLOW_LINKS).equals(OWNER_ONLY)) {
      throw new IOException(dir + " is open to other users: chmod 0700 " + dir);
    }
  }
}
