package weft.bridge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.google.protobuf.InvalidProtocolBufferException;
import io.netty.channel.embedded.EmbeddedChannel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import weft.proto.BlockProto.Reason;
import weft.proto.BridgeProto.Delivered;
import weft.proto.BridgeProto.DropSegment;
import weft.proto.BridgeProto.Failed;
import weft.proto.BridgeProto.ToJvm;
import weft.proto.BridgeProto.Welcome;

/** A daemon that answers whatever it likes: each block of a fetch ends all the same, once. */
class HostileDaemonTest {
  private static final int INPUTS = FuzzTest.INPUTS;

  /** One call of a fetch of three blocks, and what came of it. */
  private static final class Rig {
    final EmbeddedChannel main = new EmbeddedChannel();
    final Session session =
        new Session(
            main, new EmbeddedChannel(), Welcome.getDefaultInstance(), 1000, 1000,
            name -> { throw new BlockSource.NotFound(name, null); }, Runnable::run, new LeakDetector());
    final RecordingSink sink = new RecordingSink(3);

    Rig(boolean pieces) {
      session.fetch(new FetchRequest(BridgeFixture.PEER, "2", new BlockNames(new String[] {"a", "shuffle_1_2_3", "b"}), pieces), sink);
      main.runPendingTasks();
    }

    void end(String what) {
      session.end("the test's end");
      main.runPendingTasks();
      for (int i = 0; i < 3; i++) {
        assertEquals(1, sink.ends.get(i), "ends of block " + i + ": " + what);
      }
    }
  }

  @Test
  void aFailureThatNamesABlockNobodyWaitsForCostsTheOthersNoEnd() {
    for (int[] blocks : new int[][] {{0, 99}, {0, 1, 0}, {2, -1}}) {
      Rig rig = new Rig(false);
      rig.session.received(failed(blocks));
      assertTrue(rig.session.end().isDone(), "the session goes on");
      rig.end(Arrays.toString(blocks));
    }
  }

  /** Sequences of frames of which some bytes were changed. The seed is a loop's number: a failure names it. */
  @Test
  void changedFramesInAnyOrder() {
    List<byte[]> frames = new ArrayList<>();
    frames.add(failed(0, 1).toByteArray());
    frames.add(failed(2).toByteArray());
    for (int block = 0; block < 3; block++) {
      frames.add(delivered(0, block, 0).toByteArray()); // without bytes, so without a lease
      frames.add(delivered(block, block, 8).toByteArray());
    }
    frames.add(BridgeFixture.inside(1, new byte[8]).build().toByteArray());
    frames.add(ToJvm.newBuilder().setDropSegment(DropSegment.newBuilder().setSegment(1)).build().toByteArray());
    Vectors.toJvm().forEach((name, frame) -> {
      if (!frame.hasAddSegment()) { // what comes behind one waits for its descriptor
        frames.add(frame.toByteArray());
      }
    });
    int answered = 0;
    for (int seed = 0; seed < INPUTS; seed++) {
      Random random = new Random(seed);
      Rig rig = new Rig(random.nextBoolean());
      for (int n = 1 + random.nextInt(5); n > 0; n--) {
        byte[] frame = frames.get(random.nextInt(frames.size())).clone();
        for (int changes = frame.length == 0 ? 0 : random.nextInt(3); changes > 0; changes--) {
          frame[random.nextInt(frame.length)] = (byte) random.nextInt();
        }
        ToJvm message;
        try {
          message = ToJvm.parseFrom(frame);
        } catch (InvalidProtocolBufferException e) {
          continue; // FramesTest
        }
        rig.session.received(message);
      }
      answered += rig.session.end().isDone() ? 0 : 1;
      rig.end("seed " + seed);
    }
    assertTrue(answered > 0 && answered < INPUTS, answered + " of " + INPUTS + " sessions were not ended by what the daemon sent");
  }

  private static ToJvm failed(int... blocks) {
    Failed.Builder failed = Failed.newBuilder().setRequestId(1).setReason(Reason.REASON_NOT_FOUND);
    for (int block : blocks) {
      failed.addBlock(block);
    }
    return ToJvm.newBuilder().setFailed(failed).build();
  }

  private static ToJvm delivered(long lease, int block, long length) {
    return ToJvm.newBuilder()
        .setDelivered(Delivered.newBuilder().setRequestId(1).setLease(lease).addBlock(block).addOffset(0).addLength(length))
        .build();
  }
}
