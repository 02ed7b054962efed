package weft.bench;

import java.io.Serializable;
import java.util.Comparator;
import java.util.List;
import java.util.zip.CRC32;

/**
 * The sum of the CRC-32s of records: the same for the same records in any order and however they are spread over partitions. Records
 * added as sorted ones are checked to be in order. It is as cheap as can be, because it is a part of what is measured.
 */
final class Checksum implements Serializable {
  /** Keys as unsigned bytes, the first one first. */
  static final Comparator<byte[]> ORDER = new Order();

  private transient CRC32 crc;
  private long sum;
  private long count;
  private byte[] first;
  private byte[] last;

  void add(byte[] key, byte[] value) {
    crc = crc == null ? new CRC32() : crc;
    crc.reset();
    crc.update(key, 0, key.length);
    crc.update(value, 0, value.length);
    sum += crc.getValue();
    count++;
  }

  /** Adds a record whose key may not be smaller than the one before. */
  void addSorted(byte[] key, byte[] value) {
    check(last, key);
    first = first == null ? key : first;
    last = key;
    add(key, value);
  }

  /** That of all partitions; sorted ones must follow each other in order. */
  static Checksum combine(List<Checksum> partitions) {
    Checksum all = new Checksum();
    for (Checksum c : partitions) {
      all.sum += c.sum;
      all.count += c.count;
      if (c.first != null) {
        check(all.last, c.first);
        all.last = c.last;
      }
    }
    return all;
  }

  long count() {
    return count;
  }

  /** Sum and number of records. */
  @Override
  public String toString() {
    return String.format("%016x %d", sum, count);
  }

  private static void check(byte[] before, byte[] after) {
    if (before != null && ORDER.compare(before, after) > 0) {
      throw new IllegalStateException("the result is not sorted");
    }
  }

  /** Serializable, for Spark to sort by. */
  private static final class Order implements Comparator<byte[]>, Serializable {
    private static final long serialVersionUID = 1;

    @Override
    public int compare(byte[] a, byte[] b) {
      for (int i = 0; i < a.length && i < b.length; i++) {
        if (a[i] != b[i]) {
          return (a[i] & 0xff) - (b[i] & 0xff);
        }
      }
      return a.length - b.length;
    }
  }
}
