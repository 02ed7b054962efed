package weft.bridge;

import com.google.protobuf.ByteString;
import io.netty.bootstrap.Bootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.epoll.EpollChannelOption;
import io.netty.channel.epoll.EpollDomainSocketChannel;
import io.netty.channel.epoll.EpollMode;
import io.netty.channel.unix.DomainSocketAddress;
import io.netty.channel.unix.DomainSocketReadMode;
import io.netty.channel.unix.FileDescriptor;
import io.netty.channel.unix.UnixChannelOption;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import weft.proto.BridgeProto.Attach;
import weft.proto.BridgeProto.Hello;
import weft.proto.BridgeProto.ToDaemon;
import weft.proto.BridgeProto.ToJvm;
import weft.proto.BridgeProto.Welcome;

/** Opens sessions: two sockets and the greetings on them. */
final class Dialer {
  static final int VERSION = 1;

  private final EventLoopGroup loop; // of one thread, so that a session's two sockets share it
  private final Path socket;
  private final long fetchTimeoutMs;
  private final long patienceMs;
  private final BlockSource source;
  private final Executor workers;
  private final LeakDetector leaks;

  Dialer(
      EventLoopGroup loop,
      Path socket,
      long fetchTimeoutMs,
      long patienceMs,
      BlockSource source,
      Executor workers,
      LeakDetector leaks) {
    this.loop = loop;
    this.socket = socket;
    this.fetchTimeoutMs = fetchTimeoutMs;
    this.patienceMs = patienceMs;
    this.source = source;
    this.workers = workers;
    this.leaks = leaks;
  }

  /**
   * Opens a session. Waits, so never on the event loop.
   *
   * @throws Refused when the daemon does not want it, or does not encrypt where Hello asks for it
   * @throws IOException when there is no daemon, or none that answers in time
   */
  Session dial(Hello hello, long timeoutMs) throws IOException, InterruptedException {
    long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(timeoutMs);
    Greetings greetings = new Greetings();
    Channel main = connect(deadline, new Frames.Decoder(), new Frames.Encoder(), greetings);
    Channel second = null;
    Session session = null;
    try {
      main.writeAndFlush(ToDaemon.newBuilder().setHello(hello).build());
      Welcome welcome = await(greetings.welcome, deadline);
      if (welcome.getVersion() != VERSION) {
        throw new Refused("it speaks version " + welcome.getVersion() + " of the bridge, this jar " + VERSION);
      }
      if ((hello.getFeatures() & ~welcome.getFeatures() & Bridge.ENCRYPT) != 0) {
        throw Refused.doesNotEncrypt(welcome.getSoftwareVersion());
      }
      Descriptors descriptors = new Descriptors();
      second = connect(deadline, new Frames.Encoder(), descriptors);
      session =
          new Session(main, second, welcome, fetchTimeoutMs, patienceMs, source, workers, leaks);
      greetings.session = session;
      descriptors.session = session;
      // Written on the loop, so that both handlers see the session before the daemon can answer.
      Attach attach =
          Attach.newBuilder()
              .setSessionId(welcome.getSessionId())
              .setAttachToken(welcome.getAttachToken())
              .build();
      second.writeAndFlush(ToDaemon.newBuilder().setAttach(attach).build());
      await(greetings.attached, deadline);
      return session;
    } catch (IOException | InterruptedException | RuntimeException e) {
      main.close();
      if (session != null) {
        session.close("no answer to Attach");
      } else if (second != null) {
        second.close();
      }
      throw e;
    }
  }

  private Channel connect(long deadline, ChannelHandler... handlers)
      throws IOException, InterruptedException {
    Bootstrap bootstrap =
        new Bootstrap()
            .group(loop)
            .channel(EpollDomainSocketChannel.class)
            .handler(
                new ChannelInitializer<Channel>() {
                  @Override
                  protected void initChannel(Channel channel) {
                    channel.pipeline().addLast(handlers);
                  }
                });
    if (handlers[handlers.length - 1] instanceof Descriptors) {
      bootstrap.option(UnixChannelOption.DOMAIN_SOCKET_READ_MODE, DomainSocketReadMode.FILE_DESCRIPTORS);
      // Netty takes one descriptor at each wake-up. Edge-triggered, as it is by default before 4.2, the others would stay unseen until the
      // next one comes.
      bootstrap.option(EpollChannelOption.EPOLL_MODE, EpollMode.LEVEL_TRIGGERED);
    }
    ChannelFuture connected = bootstrap.connect(new DomainSocketAddress(socket.toString()));
    if (!connected.await(Math.max(1, deadline - System.nanoTime()), TimeUnit.NANOSECONDS)) {
      connected.channel().close();
      throw new IOException("no connection to " + socket + " in time");
    }
    if (!connected.isSuccess()) {
      Throwable why = connected.cause();
      throw new IOException("no daemon at " + socket + ": " + (why instanceof FileNotFoundException ? "there is no such socket" : why), why);
    }
    return connected.channel();
  }

  private static <T> T await(CompletableFuture<T> answer, long deadline)
      throws IOException, InterruptedException {
    try {
      return answer.get(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      throw new IOException("the daemon did not answer in time", e);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof IOException) {
        throw (IOException) e.getCause();
      }
      throw new IOException(e.getCause());
    }
  }

  /** The first socket: greetings, then the session's frames. */
  private static final class Greetings extends ChannelInboundHandlerAdapter {
    final CompletableFuture<Welcome> welcome = new CompletableFuture<>();
    final CompletableFuture<Boolean> attached = new CompletableFuture<>();
    volatile Session session;

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) {
      ToJvm frame = (ToJvm) message;
      switch (frame.getKindCase()) {
        case WELCOME:
          welcome.complete(frame.getWelcome());
          break;
        case REFUSED:
          fail(new Refused(frame.getRefused().getDetail()));
          break;
        case ATTACHED:
          attached.complete(true);
          break;
        default:
          if (session != null) {
            session.received(frame);
          } else {
            ctx.close();
          }
      }
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
      fail(new IOException("the daemon closed the session"));
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      fail(new IOException(String.valueOf(cause.getMessage()), cause));
      ctx.close();
    }

    private void fail(IOException cause) {
      welcome.completeExceptionally(cause);
      attached.completeExceptionally(cause);
      if (session != null) {
        session.end(cause.getMessage());
      }
    }
  }

  /** The second socket: descriptors of segments. */
  private static final class Descriptors extends ChannelInboundHandlerAdapter {
    volatile Session session;

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object message) throws IOException {
      FileDescriptor descriptor = (FileDescriptor) message;
      if (session != null) {
        session.received(descriptor);
      } else {
        descriptor.close();
        ctx.close();
      }
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
      end("the daemon closed the socket for descriptors");
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      end(String.valueOf(cause.getMessage()));
      ctx.close();
    }

    private void end(String cause) {
      if (session != null) {
        session.end(cause);
      }
    }
  }
}
