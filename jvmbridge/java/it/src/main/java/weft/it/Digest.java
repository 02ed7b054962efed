package weft.it;

import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;

/**
 * A digest of one partition's records that is either the sum of their hashes, and so the same in any order, or a hash of their
 * sequence. The hash of a whole result is that of its partitions' digests in their order.
 */
final class Digest implements Serializable {
  private static final ThreadLocal<MessageDigest> SHA256 = ThreadLocal.withInitial(Digest::sha256);

  private final boolean ordered;
  private final byte[] state = new byte[32];
  private long count;

  private Digest(boolean ordered) {
    this.ordered = ordered;
  }

  /** The records arrive in an order that is part of the result. */
  static Digest ofSequence() {
    return new Digest(true);
  }

  /** The records arrive in any order. */
  static Digest ofSet() {
    return new Digest(false);
  }

  void add(String record) {
    add(record.getBytes(StandardCharsets.UTF_8));
  }

  void add(byte[] record) {
    MessageDigest sha = SHA256.get();
    if (ordered) {
      sha.update(state);
    }
    byte[] hash = sha.digest(record);
    if (ordered) {
      System.arraycopy(hash, 0, state, 0, state.length);
    } else {
      addNumber(hash);
    }
    count++;
  }

  /** Adds a 256-bit number to the state, modulo 2^256. */
  private void addNumber(byte[] number) {
    int carry = 0;
    for (int i = 0; i < state.length; i++) {
      int sum = (state[i] & 0xff) + (number[i] & 0xff) + carry;
      state[i] = (byte) sum;
      carry = sum >>> 8;
    }
  }

  /** The result made of these digests, in this order; it counts a record once for each digest that it is in. */
  static Result combine(List<Digest> partitions) {
    MessageDigest sha = SHA256.get();
    long count = 0;
    for (Digest d : partitions) {
      sha.update(d.state);
      sha.update(Long.toString(d.count).getBytes(StandardCharsets.UTF_8));
      count += d.count;
    }
    StringBuilder hex = new StringBuilder();
    for (byte b : sha.digest()) {
      hex.append(String.format("%02x", b));
    }
    return new Result(hex.toString(), count);
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java has SHA-256", e);
    }
  }
}
