package weft.bridge;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import weft.proto.BridgeProto.RegisterMapOutput;
import weft.proto.BridgeProto.ToDaemon;

/** The map outputs that this executor has committed, for every new session to be told. Thread-safe. */
final class MapOutputs {
  private final Bridge.Files files;
  private final Map<Integer, Map<Long, Integer>> partitions = new ConcurrentHashMap<>();

  MapOutputs(Bridge.Files files) {
    this.files = files;
  }

  ToDaemon add(int shuffle, long map, int numPartitions) {
    partitions.computeIfAbsent(shuffle, s -> new ConcurrentHashMap<>()).put(map, numPartitions);
    return frame(shuffle, map, numPartitions);
  }

  void remove(int shuffle) {
    partitions.remove(shuffle);
  }

  List<ToDaemon> frames() {
    List<ToDaemon> all = new ArrayList<>();
    partitions.forEach(
        (shuffle, maps) -> maps.forEach((map, count) -> all.add(frame(shuffle, map, count))));
    return all;
  }

  private ToDaemon frame(int shuffle, long map, int numPartitions) {
    return ToDaemon.newBuilder()
        .setRegisterMapOutput(
            RegisterMapOutput.newBuilder()
                .setShuffleId(shuffle)
                .setMapId(map)
                .setDataPath(files.data(shuffle, map))
                .setIndexPath(files.index(shuffle, map))
                .setNumPartitions(numPartitions))
        .build();
  }
}
