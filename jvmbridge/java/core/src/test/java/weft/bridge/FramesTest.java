package weft.bridge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.handler.codec.CorruptedFrameException;
import io.netty.handler.codec.DecoderException;
import io.netty.handler.codec.TooLongFrameException;
import java.util.Random;
import org.junit.jupiter.api.Test;
import weft.proto.BridgeProto.ToDaemon;
import weft.proto.BridgeProto.ToJvm;

class FramesTest {
  @Test
  void framesMayComeInAnyCut() {
    ToJvm frame = BridgeFixture.delivered(7, 8, 9, new long[] {1, 2, 3}).build();
    byte[] body = frame.toByteArray();
    ByteBuf twice = Unpooled.buffer();
    for (int i = 0; i < 2; i++) {
      twice.writeInt(body.length).writeBytes(body);
    }
    EmbeddedChannel channel = new EmbeddedChannel(new Frames.Decoder());
    while (twice.isReadable()) {
      channel.writeInbound(twice.readBytes(1));
    }
    assertEquals(frame, channel.readInbound());
    assertEquals(frame, channel.readInbound());
    assertNull(channel.readInbound());
  }

  @Test
  void aFrameThatIsTooLongIsRefusedByItsLength() {
    EmbeddedChannel channel = new EmbeddedChannel(new Frames.Decoder());
    ByteBuf head = Unpooled.buffer().writeInt(Frames.MAX_LENGTH + 1);
    assertThrows(TooLongFrameException.class, () -> channel.writeInbound(head));
  }

  /** Random bytes are either a message or an error, and never anything worse. */
  @Test
  void randomFrames() {
    Random random = new Random(42);
    byte[] good = BridgeFixture.delivered(7, 8, 9, new long[] {1, 2, 3}, new long[] {4, 5, 6}).build().toByteArray();
    int errors = 0;
    for (int i = 0; i < 5000; i++) {
      byte[] body;
      if (i % 2 == 0) {
        body = new byte[random.nextInt(100)];
        random.nextBytes(body);
      } else {
        body = good.clone();
        body[random.nextInt(body.length)] = (byte) random.nextInt();
      }
      EmbeddedChannel channel = new EmbeddedChannel(new Frames.Decoder());
      try {
        channel.writeInbound(Unpooled.buffer().writeInt(body.length).writeBytes(body));
        Object message = channel.readInbound();
        assertFalse(message == null);
      } catch (DecoderException e) {
        assertEquals(CorruptedFrameException.class, e.getClass());
        errors++;
      }
      channel.close();
    }
    assertFalse(errors < 1000, "only " + errors + " of 5000 random frames were refused");
  }

  @Test
  void theEncoderWritesLengthAndMessage() throws Exception {
    ToDaemon frame = Vectors.toDaemon().get("release");
    EmbeddedChannel channel = new EmbeddedChannel(new Frames.Encoder());
    channel.writeOutbound(frame);
    ByteBuf bytes = channel.readOutbound();
    assertEquals(bytes.readableBytes() - 4, bytes.readInt());
    assertEquals(frame, ToDaemon.parseFrom(bytes.nioBuffer()));
    bytes.release();
  }
}
