package org.apache.spark.shuffle.weft;

import java.util.List;
import weft.peers.Endpoint;

/**
 * What executors and driver say to each other about the directory: arrays of JDK types, since Spark's RPC may not see the
 * classes of a jar that came by --jars.
 */
final class DirectoryMessages {
  static final String JOIN = "weft.join"; // executor -> the driver's part of the application's token
  static final String ANNOUNCE = "weft.announce"; // executor, addresses, port, daemon id, whether it keeps map outputs, executors whose it took over -> DONE
  static final String WITHDRAW = "weft.withdraw"; // executor -> DONE
  static final String LOOKUP = "weft.lookup"; // executor -> addresses, port, daemon id; or nothing
  static final String ENDED = "weft.ended"; // executor -> the shuffles that have ended, as the words of a BitSet
  static final String DONE = "weft.done";

  private DirectoryMessages() {}

  static Object[] join(String executor) {
    return new Object[] {JOIN, executor};
  }

  static Object[] announce(String executor, Endpoint e, boolean keeps, List<String> takenOver) {
    return new Object[] {ANNOUNCE, executor, e.addresses(), e.port(), e.daemonId(), keeps, takenOver.toArray(new String[0])};
  }

  static Object[] withdraw(String executor) {
    return new Object[] {WITHDRAW, executor};
  }

  static Object[] lookup(String executor) {
    return new Object[] {LOOKUP, executor};
  }

  static Object[] ended(String executor) {
    return new Object[] {ENDED, executor};
  }

  /** The answer to a lookup; null says that there is none. */
  static Object[] found(Endpoint e) {
    return e == null ? new Object[0] : new Object[] {e.addresses(), e.port(), e.daemonId()};
  }

  static Endpoint found(Object[] answer) {
    return answer.length == 0 ? null : endpoint(answer, 0);
  }

  static boolean isOurs(Object message) {
    if (!(message instanceof Object[])) {
      return false;
    }
    Object[] parts = (Object[]) message;
    return parts.length >= 2 && parts[0] instanceof String && parts[1] instanceof String;
  }

  static String verb(Object[] message) {
    return (String) message[0];
  }

  static String executor(Object[] message) {
    return (String) message[1];
  }

  static Endpoint announced(Object[] message) {
    return endpoint(message, 2);
  }

  static boolean keeps(Object[] announcement) {
    return (Boolean) announcement[5];
  }

  static String[] takenOver(Object[] announcement) {
    return (String[]) announcement[6];
  }

  private static Endpoint endpoint(Object[] parts, int at) {
    return new Endpoint((String[]) parts[at], (Integer) parts[at + 1], (byte[]) parts[at + 2]);
  }
}
