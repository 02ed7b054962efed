package weft.bridge;

import com.google.protobuf.ByteString;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.epoll.EpollEventLoopGroup;
import io.netty.channel.epoll.EpollServerDomainSocketChannel;
import io.netty.channel.unix.DomainSocketAddress;
import io.netty.channel.unix.FileDescriptor;
import io.netty.handler.codec.LengthFieldBasedFrameDecoder;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.reflect.Field;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import weft.proto.BridgeProto.AddSegment;
import weft.proto.BridgeProto.Attached;
import weft.proto.BridgeProto.Fetch;
import weft.proto.BridgeProto.Refused;
import weft.proto.BridgeProto.SegmentKind;
import weft.proto.BridgeProto.ToDaemon;
import weft.proto.BridgeProto.ToJvm;
import weft.proto.BridgeProto.Welcome;

/** A daemon that greets and otherwise does what a test says. */
final class FakeDaemon implements AutoCloseable {
  static final byte[] ID = new byte[16];

  private final EventLoopGroup loop = new EpollEventLoopGroup(1);
  private final Path socket;
  private final BlockingQueue<ToDaemon> frames = new LinkedBlockingQueue<>();
  final BlockingQueue<Channel> descriptorChannels = new LinkedBlockingQueue<>();
  private volatile Channel main;
  private volatile Channel descriptors;
  private Channel server;

  /** Set to refuse the next sessions. */
  volatile String refusal;

  /** That the next sessions are promised. */
  volatile long features;

  /** Set to leave the next Hello unanswered. */
  volatile boolean silent;

  FakeDaemon(Path socket) throws Exception {
    this.socket = socket;
    listen();
  }

  void listen() throws Exception {
    Files.deleteIfExists(socket);
    server =
        new ServerBootstrap()
            .group(loop)
            .channel(EpollServerDomainSocketChannel.class)
            .childHandler(
                new ChannelInitializer<Channel>() {
                  @Override
                  protected void initChannel(Channel channel) {
                    channel
                        .pipeline()
                        .addLast(new LengthFieldBasedFrameDecoder(1 << 24, 0, 4, 0, 4), new Handler());
                  }
                })
            .bind(new DomainSocketAddress(socket.toString()))
            .sync()
            .channel();
  }

  /** The next frame of the JVM after Hello and Attach. */
  ToDaemon next() throws InterruptedException {
    ToDaemon frame = frames.poll(10, TimeUnit.SECONDS);
    if (frame == null) {
      throw new AssertionError("no frame came");
    }
    return frame;
  }

  /** The next Fetch; other frames before it are passed over. */
  Fetch nextFetch() throws InterruptedException {
    ToDaemon frame = next();
    while (!frame.hasFetch()) {
      frame = next();
    }
    return frame.getFetch();
  }

  /** The next frame if one comes within a moment, or null. */
  ToDaemon nextWithin(long ms) throws InterruptedException {
    return frames.poll(ms, TimeUnit.MILLISECONDS);
  }

  /** Waits for a session. */
  void awaitSession() throws InterruptedException {
    descriptors = descriptorChannels.poll(10, TimeUnit.SECONDS);
    if (descriptors == null) {
      throw new AssertionError("no session was opened");
    }
  }

  void send(ToJvm.Builder frame) {
    sendRaw(frame.build().toByteArray());
  }

  void sendRaw(byte[] body) {
    main.writeAndFlush(Unpooled.buffer(4 + body.length).writeInt(body.length).writeBytes(body));
  }

  void announce(int number, SegmentKind kind, long length) {
    send(
        ToJvm.newBuilder()
            .setAddSegment(AddSegment.newBuilder().setSegment(number).setKind(kind).setLength(length)));
  }

  /** Sends the descriptor of a file; the file stays the caller's. */
  void sendDescriptor(RandomAccessFile file) throws Exception {
    Field fd = java.io.FileDescriptor.class.getDeclaredField("fd");
    fd.setAccessible(true);
    // Not from(path), which would truncate the file.
    descriptors.writeAndFlush(new FileDescriptor(fd.getInt(file.getFD()))).sync();
  }

  /** Adds a segment with these bytes. */
  RandomAccessFile addSegment(Path dir, int number, SegmentKind kind, byte[] content) throws Exception {
    RandomAccessFile file = new RandomAccessFile(dir.resolve("segment-" + number).toFile(), "rw");
    file.write(content);
    announce(number, kind, content.length);
    sendDescriptor(file);
    return file;
  }

  /** Ends the session, as a daemon that is killed. */
  void drop() throws InterruptedException {
    main.close().sync();
    descriptors.close().sync();
  }

  void stopListening() throws Exception {
    server.close().sync();
    Files.deleteIfExists(socket);
  }

  @Override
  public void close() throws IOException {
    loop.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
    Files.deleteIfExists(socket);
  }

  private final class Handler extends ChannelInboundHandlerAdapter {
    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) throws Exception {
      ByteBuf bytes = (ByteBuf) message;
      ToDaemon frame = ToDaemon.parseFrom(bytes.nioBuffer());
      bytes.release();
      switch (frame.getKindCase()) {
        case HELLO:
          hello(ctx.channel());
          break;
        case ATTACH:
          descriptorChannels.add(ctx.channel());
          send(ToJvm.newBuilder().setAttached(Attached.getDefaultInstance()));
          break;
        default:
          frames.add(frame);
      }
    }

    private void hello(Channel channel) {
      main = channel;
      if (silent) {
        return;
      }
      if (refusal != null) {
        send(ToJvm.newBuilder().setRefused(Refused.newBuilder().setDetail(refusal)));
        return;
      }
      send(
          ToJvm.newBuilder()
              .setWelcome(
                  Welcome.newBuilder()
                      .setVersion(1)
                      .setFeatures(features)
                      .setSessionId(1)
                      .setAttachToken(ByteString.copyFromUtf8("token"))
                      .setDaemonId(ByteString.copyFrom(ID))
                      .addPeerAddress("10.0.0.1")
                      .setPeerPort(7400)
                      .setRdmaDevice("rxe0")
                      .setRdmaSoftware(true)
                      .addTakenOver("9")));
    }
  }
}
