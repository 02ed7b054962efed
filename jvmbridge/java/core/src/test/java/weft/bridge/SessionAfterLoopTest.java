package weft.bridge;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.channel.DefaultEventLoop;
import io.netty.channel.local.LocalChannel;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import weft.proto.BlockProto.Reason;
import weft.proto.BridgeProto.Welcome;

/** A session whose event loop has ended with the executor. */
@Timeout(30)
class SessionAfterLoopTest {
  private volatile Session session;
  private volatile RecordingSink last;

  /** What runs on it last asks for a block. */
  private final DefaultEventLoop loop =
      new DefaultEventLoop() {
        @Override
        protected void cleanup() {
          if (session != null) {
            last = fetch(new RecordingSink(1));
          }
        }
      };

  private Session open() throws InterruptedException {
    LocalChannel main = new LocalChannel();
    LocalChannel second = new LocalChannel();
    loop.register(main).sync();
    loop.register(second).sync();
    return new Session(
        main, second, Welcome.getDefaultInstance(), 1000, 1000, name -> { throw new BlockSource.NotFound(name, null); }, Runnable::run,
        new LeakDetector());
  }

  private <S extends FetchSink> S fetch(S sink) {
    session.fetch(new FetchRequest(BridgeFixture.PEER, "2", new BlockNames(new String[] {"a"}), false), sink);
    return sink;
  }

  private void endLoop() throws InterruptedException {
    loop.shutdownGracefully(0, 0, TimeUnit.SECONDS);
    assertTrue(loop.awaitTermination(10, TimeUnit.SECONDS), "the event loop ends");
  }

  @Test
  void whatRunsLastOnTheLoopDoesNotWaitForItsEnd() throws Exception {
    session = open();
    endLoop();
    assertEquals(Reason.REASON_DAEMON_GONE, last.next().reason);
  }

  @Test
  void callersComeOneAtATime() throws Exception {
    Session one = open();
    endLoop();
    session = one;
    CountDownLatch failing = new CountDownLatch(1);
    CountDownLatch goOn = new CountDownLatch(1);
    Thread first =
        new Thread(
            () ->
                fetch(
                    new RecordingSink(1) {
                      @Override
                      public void failed(int[] blocks, Reason reason, String detail) {
                        failing.countDown();
                        try {
                          goOn.await();
                        } catch (InterruptedException e) {
                          throw new IllegalStateException(e);
                        }
                        super.failed(blocks, reason, detail);
                      }
                    }));
    first.start();
    failing.await();
    RecordingSink sink = new RecordingSink(1);
    Thread second = new Thread(() -> fetch(sink));
    second.start();
    while (second.getState() != Thread.State.BLOCKED) {
      assertTrue(second.isAlive(), "it did not wait for the first");
      Thread.yield();
    }
    goOn.countDown();
    first.join();
    second.join();
    assertEquals(Reason.REASON_DAEMON_GONE, sink.next().reason);
  }
}
