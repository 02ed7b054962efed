package weft.bridge;

import weft.proto.BlockProto.Blocks;

/**
 * The blocks of one request by their names in Spark, and as the bridge numbers them: shuffle blocks first, then names. Immutable.
 */
public final class BlockNames {
  private static final String SHUFFLE = "shuffle_";

  private final String[] names;
  private final Blocks wire;
  /** Index on the wire to index in names; null where they are the same. */
  private final int[] order;

  public BlockNames(String[] names) {
    this.names = names;
    Blocks.Builder blocks = Blocks.newBuilder();
    int[] shuffle = new int[names.length];
    int[] other = new int[names.length];
    int shuffles = 0;
    int others = 0;
    for (int i = 0; i < names.length; i++) {
      if (addShuffle(names[i], blocks)) {
        shuffle[shuffles++] = i;
      } else {
        blocks.addName(names[i]);
        other[others++] = i;
      }
    }
    this.wire = blocks.build();
    if (shuffles == 0 || others == 0) {
      this.order = null;
    } else {
      System.arraycopy(other, 0, shuffle, shuffles, others);
      this.order = shuffle;
    }
  }

  public int count() {
    return names.length;
  }

  public String name(int i) {
    return names[i];
  }

  Blocks wire() {
    return wire;
  }

  /** The index in names of the block that the daemon calls i. */
  int fromWire(int i) {
    return order == null ? i : order[i];
  }

  /** Adds shuffle_S_M_R or shuffle_S_M_START_END; false for any other name. */
  private static boolean addShuffle(String name, Blocks.Builder to) {
    if (!name.startsWith(SHUFFLE)) {
      return false;
    }
    long[] part = new long[4];
    int parts = 0;
    int at = SHUFFLE.length();
    while (true) {
      int end = name.indexOf('_', at);
      long value = parts < 4 ? number(name, at, end < 0 ? name.length() : end) : -1;
      if (value < 0) {
        return false;
      }
      part[parts++] = value;
      if (end < 0) {
        break;
      }
      at = end + 1;
    }
    long start = part[2];
    long stop = parts == 4 ? part[3] : start + 1;
    if (parts < 3 || part[0] > Integer.MAX_VALUE || stop > Integer.MAX_VALUE || start >= stop) {
      return false;
    }
    to.addShuffleId((int) part[0]).addMapId(part[1]).addReduceStart((int) start).addReduceEnd((int) stop);
    return true;
  }

  /** A number as Spark writes it (no sign, no leading zero), or -1. */
  private static long number(String s, int from, int to) {
    if (from >= to || to - from > 18 || (s.charAt(from) == '0' && to - from > 1)) {
      return -1;
    }
    long value = 0;
    for (int i = from; i < to; i++) {
      int digit = s.charAt(i) - '0';
      if (digit < 0 || digit > 9) {
        return -1;
      }
      value = value * 10 + digit;
    }
    return value;
  }
}
