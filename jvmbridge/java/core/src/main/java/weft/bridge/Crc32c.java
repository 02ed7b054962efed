package weft.bridge;

import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.ByteBuffer;
import java.util.zip.Checksum;

/** CRC32C (RFC 3720) by {@code java.util.zip.CRC32C}, which Java has since 9 and this byte code, of Java 8, cannot name. */
final class Crc32c {
  private static final MethodHandle NEW; // null on Java 8
  private static final MethodHandle UPDATE;

  static {
    MethodHandle make = null;
    MethodHandle update = null;
    try {
      Class<?> type = Class.forName("java.util.zip.CRC32C");
      MethodHandles.Lookup lookup = MethodHandles.publicLookup();
      make =
          lookup
              .findConstructor(type, MethodType.methodType(void.class))
              .asType(MethodType.methodType(Checksum.class));
      update =
          lookup
              .findVirtual(type, "update", MethodType.methodType(void.class, ByteBuffer.class))
              .asType(MethodType.methodType(void.class, Checksum.class, ByteBuffer.class));
    } catch (ReflectiveOperationException e) {
      make = null; // the daemon computes it
    }
    NEW = make;
    UPDATE = update;
  }

  private final Checksum sum;

  private Crc32c(Checksum sum) {
    this.sum = sum;
  }

  /** The checksum of nothing yet; null where this Java has none. */
  static Crc32c create() {
    if (NEW == null) {
      return null;
    }
    try {
      return new Crc32c((Checksum) NEW.invokeExact());
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  /** Takes in what remains of {@code part}, whose position is then its limit. */
  void update(ByteBuffer part) {
    try {
      UPDATE.invokeExact(sum, part);
    } catch (Throwable e) {
      throw new IllegalStateException(e);
    }
  }

  int value() {
    return (int) sum.getValue();
  }
}
