package org.apache.spark.shuffle.weft;

import weft.proto.BlockProto.Reason;

/** Takes the blocks of a fetch that weft does not deliver. Must not wait; called from any thread, and for each block once. */
interface Undelivered {
  void take(String[] names, Reason reason, String detail);
}
