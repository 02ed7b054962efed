package weft.bridge;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.CorruptedFrameException;
import io.netty.handler.codec.DecoderException;
import io.netty.handler.codec.TooLongFrameException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import weft.proto.BlockProto.Blocks;
import weft.proto.BridgeProto.ToJvm;

/**
 * Decoders on inputs that are changed from good ones, which are the bridge's vectors. The seed of each input is its number, which a failure
 * names. With {@code -Dweft.fuzz.inputs=1000000} there are more.
 */
class FuzzTest {
  static final int INPUTS = Integer.getInteger("weft.fuzz.inputs", 20_000);

  /** A stream of frames, in any cut: messages as long as all is well, then one error of the two there are. */
  @Test
  void streamsOfFrames() {
    List<byte[]> vectors = new ArrayList<>();
    Vectors.toJvm().values().forEach(m -> vectors.add(m.toByteArray()));
    int messages = 0;
    int errors = 0;
    for (int seed = 0; seed < INPUTS; seed++) {
      Random random = new Random(seed);
      ByteBuf stream = Unpooled.buffer();
      for (int n = 1 + random.nextInt(3); n > 0; n--) {
        byte[] body = vectors.get(random.nextInt(vectors.size()));
        stream.writeInt(body.length).writeBytes(body);
      }
      byte[] bytes = changed(random, stream);
      EmbeddedChannel channel = new EmbeddedChannel(new Frames.Decoder());
      try {
        for (int at = 0; at < bytes.length; ) {
          int n = Math.min(bytes.length - at, 1 + random.nextInt(64));
          channel.writeInbound(Unpooled.wrappedBuffer(bytes, at, n));
          at += n;
        }
      } catch (DecoderException e) {
        assertTrue(e instanceof CorruptedFrameException || e instanceof TooLongFrameException, "seed " + seed + ": " + e);
        errors++;
      }
      try {
        channel.finish();
      } catch (DecoderException e) { // once more, of what was left unread
        assertTrue(e instanceof CorruptedFrameException || e instanceof TooLongFrameException, "seed " + seed + ": " + e);
      }
      for (Object m = channel.readInbound(); m != null; m = channel.readInbound()) {
        assertArrayEquals(((ToJvm) m).toByteArray(), reparsed((ToJvm) m, seed).toByteArray(), "seed " + seed);
        messages++;
      }
    }
    assertTrue(messages > INPUTS / 4 && errors > INPUTS / 10, messages + " messages, " + errors + " errors");
  }

  private static ToJvm reparsed(ToJvm m, int seed) {
    try {
      return ToJvm.parseFrom(m.toByteArray());
    } catch (java.io.IOException e) {
      throw new AssertionError("seed " + seed, e);
    }
  }

  /** Some bytes changed, left out, put in or cut off; or none. */
  private static byte[] changed(Random random, ByteBuf stream) {
    byte[] bytes = new byte[stream.readableBytes()];
    stream.readBytes(bytes);
    for (int n = random.nextInt(4); n > 0 && bytes.length > 0; n--) {
      int at = random.nextInt(bytes.length);
      switch (random.nextInt(4)) {
        case 0:
          bytes[at] = (byte) random.nextInt();
          break;
        case 1:
          bytes[at] ^= (byte) (1 << random.nextInt(8));
          break;
        case 2:
          bytes = java.util.Arrays.copyOf(bytes, at);
          break;
        default:
          byte[] longer = new byte[bytes.length + 1];
          System.arraycopy(bytes, 0, longer, 0, at);
          longer[at] = (byte) random.nextInt();
          System.arraycopy(bytes, at, longer, at + 1, bytes.length - at);
          bytes = longer;
      }
    }
    return bytes;
  }

  /** Each block is on the wire once, under the number that leads back to it, and by four numbers only if these are written as its name. */
  @Test
  void namesOfBlocks() {
    String[] good = {
      "shuffle_0_0_0", "shuffle_1_2_3", "shuffle_2147483647_999999999999999999_2147483646", "shuffle_1_2_3_9", "shuffle_1_2_9_3", "rdd_1_2",
      "broadcast_3_piece0", "test_1weightBytes0", "shuffle_", "", "shuffle_1_2_03", "shuffle_1_2_-3", "shuffle_1__3", "shuffle_1_2_2147483647",
    };
    int numbered = 0;
    for (int seed = 0; seed < INPUTS; seed++) {
      Random random = new Random(seed);
      String[] names = new String[random.nextInt(6)];
      for (int i = 0; i < names.length; i++) {
        names[i] = changed(random, good[random.nextInt(good.length)]);
      }
      BlockNames blocks = new BlockNames(names);
      Blocks wire = blocks.wire();
      int shuffles = wire.getShuffleIdCount();
      assertEquals(names.length, shuffles + wire.getNameCount(), "seed " + seed);
      boolean[] seen = new boolean[names.length];
      for (int i = 0; i < names.length; i++) {
        int index = blocks.fromWire(i);
        assertTrue(!seen[index], "seed " + seed);
        seen[index] = true;
        if (i >= shuffles) {
          assertEquals(names[index], wire.getName(i - shuffles), "seed " + seed);
          continue;
        }
        numbered++;
        String range = "shuffle_" + wire.getShuffleId(i) + "_" + wire.getMapId(i) + "_" + wire.getReduceStart(i);
        boolean one = wire.getReduceEnd(i) == wire.getReduceStart(i) + 1 && names[index].equals(range);
        assertTrue(wire.getReduceStart(i) < wire.getReduceEnd(i), "seed " + seed);
        assertTrue(one || names[index].equals(range + "_" + wire.getReduceEnd(i)), "seed " + seed + ": " + names[index] + " became " + range);
      }
    }
    assertTrue(numbered > INPUTS / 10, numbered + " blocks had numbers");
  }

  private static String changed(Random random, String name) {
    byte[] bytes = changed(random, Unpooled.wrappedBuffer(name.getBytes(StandardCharsets.ISO_8859_1)));
    return new String(bytes, StandardCharsets.ISO_8859_1);
  }
}
