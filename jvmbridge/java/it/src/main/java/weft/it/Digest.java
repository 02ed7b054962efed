package weft.it;

import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.List;

/**
 * The sum of the hashes of records: the same for the same records in any order and however they are spread over partitions.
 * Records added as sorted ones are checked to be in order, which together with the sum determines their sequence.
 */
final class Digest implements Serializable {
  private static final ThreadLocal<MessageDigest> SHA256 = ThreadLocal.withInitial(Digest::sha256);

  private final byte[] sum = new byte[32];
  private long count;
  private Comparable<?> first;
  private Comparable<?> last;

  void add(String record) {
    add(record.getBytes(StandardCharsets.UTF_8));
  }

  void add(byte[] record) {
    addNumber(SHA256.get().digest(record));
    count++;
  }

  /** Adds a record whose key may not be smaller than the one before. */
  void addSorted(Comparable<?> key, String record) {
    checkOrder(last, key);
    first = first == null ? key : first;
    last = key;
    add(record);
  }

  /** The result made of the digests of all partitions; sorted ones must follow each other in order. */
  static Result combine(List<Digest> partitions) {
    Digest all = new Digest();
    for (Digest d : partitions) {
      all.addNumber(d.sum);
      all.count += d.count;
      if (d.first != null) {
        checkOrder(all.last, d.first);
        all.last = d.last;
      }
    }
    StringBuilder hex = new StringBuilder();
    for (byte b : all.sum) {
      hex.append(String.format("%02x", b));
    }
    return new Result(hex.toString(), all.count);
  }

  /** Adds a 256-bit number to the sum, modulo 2^256, lowest byte first. */
  private void addNumber(byte[] number) {
    int carry = 0;
    for (int i = 0; i < sum.length; i++) {
      int digit = (sum[i] & 0xff) + (number[i] & 0xff) + carry;
      sum[i] = (byte) digit;
      carry = digit >>> 8;
    }
  }

  @SuppressWarnings("unchecked")
  private static void checkOrder(Comparable<?> before, Comparable<?> after) {
    if (before != null && ((Comparable<Object>) before).compareTo(after) > 0) {
      throw new IllegalStateException("not sorted: '" + before + "' comes before '" + after + "'");
    }
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError("every Java has SHA-256", e);
    }
  }
}
