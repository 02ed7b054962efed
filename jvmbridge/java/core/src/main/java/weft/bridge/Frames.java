package weft.bridge;

import com.google.protobuf.CodedInputStream;
import com.google.protobuf.CodedOutputStream;
import com.google.protobuf.InvalidProtocolBufferException;
import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.CorruptedFrameException;
import io.netty.handler.codec.LengthFieldBasedFrameDecoder;
import io.netty.handler.codec.MessageToByteEncoder;
import java.io.IOException;
import weft.proto.BridgeProto.ToDaemon;
import weft.proto.BridgeProto.ToJvm;

/** Frames of the bridge: a big-endian u32 length and that many bytes of one message. */
final class Frames {
  static final int MAX_LENGTH = 16 << 20;
  private static final int HEADER = 4;

  private Frames() {}

  static final class Encoder extends MessageToByteEncoder<ToDaemon> {
    Encoder() {
      super(ToDaemon.class);
    }

    @Override
    protected ByteBuf allocateBuffer(ChannelHandlerContext ctx, ToDaemon message, boolean direct) {
      return ctx.alloc().ioBuffer(HEADER + message.getSerializedSize());
    }

    @Override
    protected void encode(ChannelHandlerContext ctx, ToDaemon message, ByteBuf out)
        throws IOException {
      int length = message.getSerializedSize();
      if (length > MAX_LENGTH) {
        throw new IOException("weft: a frame of " + length + " bytes is longer than the bridge allows");
      }
      out.writeInt(length);
      CodedOutputStream coded =
          CodedOutputStream.newInstance(out.nioBuffer(out.writerIndex(), length));
      message.writeTo(coded);
      coded.flush();
      out.writerIndex(out.writerIndex() + length);
    }
  }

  /** Ends the channel (by the exception) on a frame that is too long or does not parse. */
  static final class Decoder extends LengthFieldBasedFrameDecoder {
    Decoder() {
      super(MAX_LENGTH + HEADER, 0, HEADER, 0, HEADER);
    }

    @Override
    protected Object decode(ChannelHandlerContext ctx, ByteBuf in) throws Exception {
      ByteBuf frame = (ByteBuf) super.decode(ctx, in);
      if (frame == null) {
        return null;
      }
      try {
        return ToJvm.parseFrom(CodedInputStream.newInstance(frame.nioBuffer()));
      } catch (InvalidProtocolBufferException e) {
        throw new CorruptedFrameException("weft: a frame from the daemon does not parse", e);
      } finally {
        frame.release();
      }
    }
  }
}
