package weft.bridge;

import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import weft.proto.BlockProto.Reason;
import weft.proto.BridgeProto.FallbackReport;
import weft.proto.BridgeProto.ToDaemon;

/** What the daemon has not been told yet of blocks that went another way. Thread-safe. */
final class FallbackReports {
  private final Map<Reason, long[]> waiting = new EnumMap<>(Reason.class);

  synchronized void add(Reason reason, long blocks, long bytes) {
    long[] sums = waiting.computeIfAbsent(reason, r -> new long[2]);
    sums[0] += blocks;
    sums[1] += bytes;
  }

  synchronized List<ToDaemon> take() {
    List<ToDaemon> frames = new ArrayList<>();
    waiting.forEach(
        (reason, sums) ->
            frames.add(
                ToDaemon.newBuilder()
                    .setFallbackReport(
                        FallbackReport.newBuilder()
                            .setReason(reason)
                            .setBlocks(sums[0])
                            .setBytes(sums[1]))
                    .build()));
    waiting.clear();
    return frames;
  }
}
