package org.apache.spark.shuffle.weft;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.buffer.ByteBuf;
import io.netty.channel.FileRegion;
import io.netty.util.AbstractReferenceCounted;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.Collections;
import org.apache.spark.network.buffer.FileSegmentManagedBuffer;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.network.buffer.NioManagedBuffer;
import org.apache.spark.network.util.MapConfigProvider;
import org.apache.spark.network.util.TransportConf;
import org.junit.jupiter.api.Test;
import weft.bridge.BlockSource;
import weft.bridge.Shares;

/** What Spark reads of ours, and what the daemon reads of Spark's. */
class BuffersTest {
  private static final byte[] BYTES = "0123456789".getBytes();

  private final Shares shares = new Shares();

  @Test
  void aBlockInSharedMemoryIsAManagedBuffer() throws Exception {
    SegmentManagedBuffer buffer = new SegmentManagedBuffer(shares.of(BYTES));
    assertEquals(10, buffer.size());
    ByteBuffer view = buffer.nioByteBuffer();
    assertTrue(view.isDirect() && view.isReadOnly(), "no heap copy");
    assertEquals(10, view.remaining());
    ByteBuf netty = (ByteBuf) buffer.convertToNetty();
    assertEquals('9', netty.getByte(9));
    assertEquals(10, ((ByteBuf) buffer.convertToNettyForSsl()).readableBytes());

    buffer.retain();
    buffer.release();
    assertEquals(1, shares.out());
    buffer.release();
    assertEquals(0, shares.out());
    assertThrows(IllegalStateException.class, buffer::release);
    assertThrows(IllegalStateException.class, buffer::retain);
    assertThrows(IllegalStateException.class, buffer::nioByteBuffer);
    assertEquals(0, shares.out());
  }

  @Test
  void itsStreamReadsAllAndReleasesNothing() throws Exception {
    SegmentManagedBuffer buffer = new SegmentManagedBuffer(shares.of(BYTES));
    InputStream in = buffer.createInputStream();
    assertEquals('0', in.read());
    assertEquals(2, in.skip(2));
    assertEquals(0, in.skip(-1));
    assertEquals(7, in.available());
    byte[] rest = new byte[20];
    assertEquals(0, in.read(rest, 0, 0));
    assertEquals(7, in.read(rest, 5, 15));
    assertEquals('3', rest[5]);
    assertEquals(-1, in.read(rest, 0, 1));
    assertEquals(-1, in.read());
    in.close();
    assertEquals(-1, in.read());
    assertEquals(1, shares.out());
    buffer.release();
  }

  @Test
  void aBlockOfThisExecutorIsCopiedAsSparkWouldSendIt() throws Exception {
    BlockSource.Block block = LocalBlocks.opened(new NioManagedBuffer(ByteBuffer.wrap(BYTES)));
    assertEquals(10, block.length());
    assertNull(block.file());
    assertArrayEquals(BYTES, copy(block, 10));
    assertArrayEquals(BYTES, copy(block, 10), "and again");
    assertThrows(IOException.class, () -> copy(block, 9), "it has grown");

    assertArrayEquals(BYTES, copy(LocalBlocks.opened(new InChunks(BYTES, 3)), 10));
    assertThrows(IOException.class, () -> copy(LocalBlocks.opened(new InChunks(BYTES, 3)), 9));
    assertThrows(IOException.class, () -> copy(LocalBlocks.opened(new InChunks(BYTES, 0)), 10), "it has shrunk");
  }

  @Test
  void aFileSegmentIsNamed() {
    TransportConf conf = new TransportConf("shuffle", new MapConfigProvider(Collections.emptyMap()));
    BlockSource.Block block =
        LocalBlocks.opened(new FileSegmentManagedBuffer(conf, new File("/d/x"), 1L << 33, 3L << 30));
    assertEquals(3L << 30, block.length());
    assertTrue(block.file() != null);
  }

  private static byte[] copy(BlockSource.Block block, int room) throws IOException {
    ByteBuffer to = ByteBuffer.allocate(room);
    ByteBuffer told = ByteBuffer.allocate(room);
    block.copyTo(to, told::put);
    assertArrayEquals(to.array(), told.array());
    return to.array();
  }

  /** A buffer that Netty gets as a file region, a few bytes at a time, as Spark's chunked buffers. */
  private static final class InChunks extends ManagedBuffer {
    private final byte[] bytes;
    private final int chunk;

    InChunks(byte[] bytes, int chunk) {
      this.bytes = bytes;
      this.chunk = chunk;
    }

    @Override
    public Object convertToNetty() {
      return new Region();
    }

    @Override
    public long size() {
      return bytes.length;
    }

    @Override
    public ByteBuffer nioByteBuffer() {
      throw new UnsupportedOperationException("would copy all chunks");
    }

    @Override
    public InputStream createInputStream() {
      throw new UnsupportedOperationException();
    }

    @Override
    public ManagedBuffer retain() {
      return this;
    }

    @Override
    public ManagedBuffer release() {
      return this;
    }

    private final class Region extends AbstractReferenceCounted implements FileRegion {
      private int at;

      @Override
      public long transferTo(WritableByteChannel to, long position) throws IOException {
        assertEquals(at, position);
        int n = to.write(ByteBuffer.wrap(bytes, at, Math.min(chunk, bytes.length - at)));
        at += n;
        return n;
      }

      @Override
      public long transferred() {
        return at;
      }

      @Override
      public long count() {
        return bytes.length;
      }

      @Override
      public long position() {
        return 0;
      }

      @Override
      @Deprecated
      public long transfered() {
        return at;
      }

      @Override
      public FileRegion retain() {
        super.retain();
        return this;
      }

      @Override
      public FileRegion retain(int increment) {
        super.retain(increment);
        return this;
      }

      @Override
      public FileRegion touch() {
        return this;
      }

      @Override
      public FileRegion touch(Object hint) {
        return this;
      }

      @Override
      protected void deallocate() {}
    }
  }
}
