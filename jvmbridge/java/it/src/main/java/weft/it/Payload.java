package weft.it;

import java.nio.ByteBuffer;
import java.util.SplittableRandom;

/** Bytes that no codec can shrink and that are the same in every run. */
final class Payload {
  private Payload() {}

  static byte[] bytes(int length, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    ByteBuffer out = ByteBuffer.allocate((length + 7) / 8 * 8);
    while (out.hasRemaining()) {
      out.putLong(random.nextLong());
    }
    return out.capacity() == length ? out.array() : java.util.Arrays.copyOf(out.array(), length);
  }
}
