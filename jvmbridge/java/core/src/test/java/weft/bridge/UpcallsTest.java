package weft.bridge;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static weft.bridge.BridgeFixture.pattern;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import weft.proto.BlockProto.Reason;
import weft.proto.BridgeProto.BlockCopied;
import weft.proto.BridgeProto.BlockOpened;
import weft.proto.BridgeProto.CloseBlock;
import weft.proto.BridgeProto.CopyBlock;
import weft.proto.BridgeProto.OpenBlock;
import weft.proto.BridgeProto.SegmentKind;
import weft.proto.BridgeProto.ToJvm;

@Timeout(30)
class UpcallsTest {
  private final AtomicInteger open = new AtomicInteger();
  private final CountDownLatch mayOpen = new CountDownLatch(1);
  private final Map<String, byte[]> blocks = new ConcurrentHashMap<>();

  @Test
  void smallBlocksTravelInTheAnswer() throws Exception {
    try (BridgeFixture f = fixture()) {
      blocks.put("small", pattern(Upcalls.INLINE, 1));
      blocks.put("empty", new byte[0]);
      assertArrayEquals(blocks.get("small"), opened(f, 1, "small").getInline().toByteArray());
      BlockOpened empty = opened(f, 2, "empty");
      assertEquals(BlockOpened.ResultCase.INLINE, empty.getResultCase());
      assertEquals(0, open.get());
    }
  }

  @Test
  void filesAreNamed() throws Exception {
    try (BridgeFixture f = fixture()) {
      BlockOpened answer = opened(f, 1, "file");
      assertEquals("/d/x.data", answer.getFile().getPath());
      assertEquals(5L << 32, answer.getFile().getLength());
      assertEquals(0, open.get());
    }
  }

  @Test
  void largeBlocksAreCopiedIntoTheUpcallSegment() throws Exception {
    try (BridgeFixture f = fixture()) {
      byte[] block = pattern(Upcalls.INLINE + 1, 2);
      blocks.put("large", block);
      RandomAccessFile memory =
          f.daemon.addSegment(f.dir, 3, SegmentKind.SEGMENT_UPCALL, new byte[block.length + 10]);
      assertEquals(block.length, opened(f, 7, "large").getLength());
      assertEquals(1, open.get());
      assertEquals("", copied(f, 7, 3, 10));
      byte[] seen = new byte[block.length];
      memory.seek(10);
      memory.readFully(seen);
      assertArrayEquals(block, seen);
      assertTrue(copied(f, 7, 3, 11).contains("outside segment"));
      assertTrue(copied(f, 7, 4, 0).contains("no such upcall segment"));
      assertTrue(copied(f, 8, 3, 0).contains("not open"));

      f.daemon.send(ToJvm.newBuilder().setCloseBlock(CloseBlock.newBuilder().setUpcallId(7)));
      assertTrue(copied(f, 7, 3, 0).contains("not open"));
      awaitOpen(0);
      memory.close();
    }
  }

  @Test
  void aCopyIsSummedWhereThatIsWanted() throws Exception {
    try (BridgeFixture f = fixture()) {
      byte[] block = pattern(Upcalls.INLINE + 1, 2);
      blocks.put("large", block);
      f.daemon.addSegment(f.dir, 3, SegmentKind.SEGMENT_UPCALL, new byte[block.length + 10]).close();
      opened(f, 7, "large");
      CopyBlock.Builder question = CopyBlock.newBuilder().setUpcallId(7).setSegment(3).setChecksum(true);
      assertEquals(0x8a9136aa, crc32c(new byte[32])); // RFC 3720, B.4
      assertEquals(crc32c(block), copied(f, question.setOffset(10)).getChecksum());
      BlockCopied failed = copied(f, question.setOffset(11));
      assertTrue(failed.getError().contains("outside segment") && !failed.hasChecksum(), failed.toString());
    }
  }

  @Test
  void errorsHaveReasons() throws Exception {
    try (BridgeFixture f = fixture()) {
      assertEquals(Reason.REASON_NOT_FOUND, opened(f, 1, "nothing").getError().getReason());
      assertEquals(Reason.REASON_INTERNAL, opened(f, 2, "broken").getError().getReason());
      assertEquals("disk", opened(f, 2, "broken").getError().getDetail());
    }
  }

  @Test
  void aBlockThatIsClosedBeforeItIsOpenDoesNotStayOpen() throws Exception {
    try (BridgeFixture f = fixture()) {
      blocks.put("slow", pattern(Upcalls.INLINE + 1, 3));
      ask(f, 1, "slow");
      f.daemon.send(ToJvm.newBuilder().setCloseBlock(CloseBlock.newBuilder().setUpcallId(1)));
      mayOpen.countDown();
      f.daemon.next();
      awaitOpen(0);
    }
  }

  @Test
  void theEndOfTheSessionClosesBlocks() throws Exception {
    try (BridgeFixture f = fixture()) {
      blocks.put("large", pattern(Upcalls.INLINE + 1, 4));
      opened(f, 1, "large");
      f.daemon.drop();
      awaitOpen(0);
    }
  }

  private BridgeFixture fixture() throws Exception {
    return new BridgeFixture(this::source, 5000, "10s").open();
  }

  private static void ask(BridgeFixture f, long id, String name) {
    f.daemon.send(
        ToJvm.newBuilder().setOpenBlock(OpenBlock.newBuilder().setUpcallId(id).setName(name)));
  }

  private static BlockOpened opened(BridgeFixture f, long id, String name) throws Exception {
    ask(f, id, name);
    BlockOpened answer = f.daemon.next().getBlockOpened();
    assertEquals(id, answer.getUpcallId());
    return answer;
  }

  private static String copied(BridgeFixture f, long id, int segment, long offset) throws Exception {
    BlockCopied answer = copied(f, CopyBlock.newBuilder().setUpcallId(id).setSegment(segment).setOffset(offset));
    assertFalse(answer.hasChecksum());
    return answer.getError();
  }

  private static BlockCopied copied(BridgeFixture f, CopyBlock.Builder question) throws Exception {
    f.daemon.send(ToJvm.newBuilder().setCopyBlock(question));
    return f.daemon.next().getBlockCopied();
  }

  /** CRC32C, bit by bit. */
  private static int crc32c(byte[] bytes) {
    int crc = -1;
    for (byte b : bytes) {
      crc ^= b & 0xff;
      for (int bit = 0; bit < 8; bit++) {
        crc = crc >>> 1 ^ ((crc & 1) == 0 ? 0 : 0x82f63b78);
      }
    }
    return ~crc;
  }

  private void awaitOpen(int count) throws InterruptedException {
    while (open.get() != count) {
      Thread.sleep(1); // bounded by the test's time-out
    }
  }

  private BlockSource.Block source(String name) throws IOException {
    if (name.equals("slow")) {
      try {
        mayOpen.await();
      } catch (InterruptedException e) {
        throw new IOException(e);
      }
    }
    if (name.equals("broken")) {
      throw new IOException("disk");
    }
    byte[] bytes = blocks.get(name);
    if (bytes == null && !name.equals("file")) {
      throw new BlockSource.NotFound(name, null);
    }
    open.incrementAndGet();
    return new BlockSource.Block() {
      @Override
      public long length() {
        return bytes == null ? 5L << 32 : bytes.length;
      }

      @Override
      public BlockSource.FileRange file() {
        return bytes == null ? new BlockSource.FileRange("/d/x.data", 1L << 33, length()) : null;
      }

      @Override
      public void copyTo(ByteBuffer to, Consumer<ByteBuffer> copied) {
        for (byte b : bytes) { // one at a time
          ByteBuffer part = to.duplicate();
          to.put(b);
          part.limit(to.position());
          copied.accept(part);
        }
      }

      @Override
      public void close() {
        open.decrementAndGet();
      }
    };
  }
}
