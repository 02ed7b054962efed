package org.apache.spark.shuffle.weft;

import java.util.BitSet;
import java.util.List;
import weft.peers.Endpoint;

/** Who runs which daemon, as this JVM asks and tells it. Every call may wait for the driver, for a bounded time. */
interface Directory {
  /** The driver's part of the application's token. The first call says that this executor is about to open its session. */
  byte[] join();

  /**
   * @param keeps whether the daemon serves this executor's map outputs on after its end
   * @param takenOver other executors of which a daemon before this one left map outputs, which this one serves
   */
  void announce(Endpoint endpoint, boolean keeps, List<String> takenOver);

  /** The shuffles that have ended so far, as bits: what executors that are gone left of them may still lie with a daemon. */
  BitSet ended();

  /** This executor has no daemon any more. */
  void withdraw();

  /** Another executor's daemon; null where it has none. */
  Endpoint lookup(String executor) throws Exception;
}
