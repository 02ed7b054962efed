package org.apache.spark.shuffle.weft;

import weft.proto.BlockProto.Reason;

/** What to do about each reason: a sentence for the log. */
final class Advice {
  private Advice() {}

  static String on(Reason reason) {
    switch (reason) {
      case REASON_DAEMON_GONE:
        return "This node's daemon does not answer; see the lines about it above, and `weft doctor` on this node.";
      case REASON_PEER_UNKNOWN:
        return "The other executor runs without weft (its log has the reason), or has ended and left its blocks to the shuffle service.";
      case REASON_PEER_UNREACHABLE:
        return "Check the network between the nodes, and the daemon's weft.net.cidr, weft.net.port and the firewall on the other one.";
      case REASON_PEER_LOST:
        return "The other daemon ended or the network broke; it is asked for again with the next fetch.";
      case REASON_PEER_REFUSED:
        return "Check that both nodes run the same version of weft, and that all executors have the same spark.authenticate.secret.";
      case REASON_OWNER_GONE:
        return "The other executor has ended or lost its daemon.";
      case REASON_NOT_FOUND:
        return "The other executor does not have the block (any more); Spark deals with that.";
      case REASON_BAD_MAP_OUTPUT:
        return "Check the disks of the other node's spark.local.dir.";
      case REASON_CHECKSUM:
        return "Bytes were damaged on the way or on the other node's disk: check its memory, disks and network.";
      case REASON_NO_SPACE:
        return "Memory for it: raise the daemon's weft.memory.session or weft.memory.max (in mode auto with spark. in front), or lower spark.reducer.maxSizeInFlight. "
            + "A share or a limit of open files, here or on the other node: see the daemon's weft.app.share and `weft status` there.";
      case REASON_TOO_LARGE:
        return "Raise the daemon's weft.memory.session or weft.memory.max (in mode auto with spark. in front), or lower spark.network.maxRemoteBlockSizeFetchToMem:"
            + " larger blocks come in pieces. None of more than 1 GiB comes whole."
            + " One that the other executor has in memory: raise weft.memory.upcall of its daemon.";
      case REASON_TIMEOUT:
        return "Raise spark.weft.fetch.timeout where the network is known to be slow.";
      case REASON_CANCELLED:
        return "Its task ended before it came.";
      case REASON_ENCRYPTED:
        return "Spark encrypts what goes between executors, and one of the daemons does not: see that all executors have the same"
            + " spark.network.crypto, spark.authenticate and spark.ssl.rpc keys, and install this version of weft on all nodes.";
      default:
        return "This should not happen; please report it with the log of this executor and its daemon.";
    }
  }
}
