package weft.bridge;

import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.Paths;
import java.nio.file.StandardOpenOption;

/** Maps open descriptors and ends mappings, the two things that the JDK has no method for. */
final class Mapping {
  private static final Method INVOKE_CLEANER;
  private static final Object UNSAFE;

  static {
    Method method = null;
    Object unsafe = null;
    try {
      Class<?> type = Class.forName("sun.misc.Unsafe");
      Field field = type.getDeclaredField("theUnsafe");
      field.setAccessible(true);
      unsafe = field.get(null);
      method = type.getMethod("invokeCleaner", ByteBuffer.class);
    } catch (ReflectiveOperationException | RuntimeException e) {
      // Java 8: mappings end with the garbage collector.
    }
    INVOKE_CLEANER = method;
    UNSAFE = unsafe;
  }

  private Mapping() {}

  /** Maps a descriptor in full. The descriptor stays the caller's and may be closed afterwards. */
  static ByteBuffer map(int descriptor, long length, boolean writable) throws IOException {
    Path path = Paths.get("/proc/self/fd/" + descriptor);
    StandardOpenOption[] options =
        writable
            ? new StandardOpenOption[] {StandardOpenOption.READ, StandardOpenOption.WRITE}
            : new StandardOpenOption[] {StandardOpenOption.READ};
    try (FileChannel channel = FileChannel.open(path, options)) {
      if (length <= 0 || length > 1 << 30 || channel.size() < length) {
        throw new IOException(
            "weft: the daemon announced a segment of " + length + " bytes and sent one of " + channel.size());
      }
      return channel.map(
          writable ? FileChannel.MapMode.READ_WRITE : FileChannel.MapMode.READ_ONLY, 0, length);
    }
  }

  /** Ends a mapping that nobody uses any more. */
  static void unmap(ByteBuffer root) {
    if (INVOKE_CLEANER == null || !root.isDirect()) {
      return;
    }
    try {
      INVOKE_CLEANER.invoke(UNSAFE, root);
    } catch (ReflectiveOperationException | RuntimeException e) {
      // The garbage collector does it.
    }
  }
}
