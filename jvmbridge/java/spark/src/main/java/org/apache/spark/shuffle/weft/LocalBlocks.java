package org.apache.spark.shuffle.weft;

import io.netty.buffer.ByteBuf;
import io.netty.channel.FileRegion;
import io.netty.util.ReferenceCountUtil;
import java.io.EOFException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.nio.file.NoSuchFileException;
import java.util.function.Consumer;
import org.apache.spark.network.buffer.FileSegmentManagedBuffer;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.storage.BlockId;
import org.apache.spark.storage.BlockManager;
import org.apache.spark.storage.BlockNotFoundException;
import weft.bridge.BlockSource;

/**
 * This executor's blocks for the daemon, read from the BlockManager at the moment they are asked for: BigDL rewrites its blocks
 * in place under the same name.
 */
final class LocalBlocks implements BlockSource {
  /** Bytes copied at a time: what is done with them then finds them in the processor's cache. */
  private static final int STEP = 128 << 10;

  private final BlockManager blockManager;

  LocalBlocks(BlockManager blockManager) {
    this.blockManager = blockManager;
  }

  @Override
  public ByteBuffer tryCopy(String name, int most) {
    return MemoryBlocks.tryCopy(blockManager, name, most);
  }

  @Override
  public Block open(String name) throws IOException {
    ManagedBuffer buffer;
    try {
      buffer = blockManager.getLocalBlockData(BlockId.apply(name));
    } catch (Exception e) { // Scala declares none
      if (e instanceof BlockNotFoundException
          || e instanceof NoSuchFileException
          || e instanceof FileNotFoundException
          || e.getClass().getSimpleName().equals("UnrecognizedBlockId")) {
        throw new NotFound(String.valueOf(e.getMessage()), e);
      }
      throw e;
    }
    return opened(buffer);
  }

  /** Takes the buffer's reference over. */
  static Block opened(ManagedBuffer buffer) {
    return new OpenBlock(buffer);
  }

  /** Copies the bytes of {@code buffer} as Spark's own server sends them, so chunk by chunk; its reference stays the caller's. */
  static void copy(ManagedBuffer buffer, ByteBuffer to, Consumer<ByteBuffer> copied) throws IOException {
    Object netty = buffer.convertToNetty();
    try {
      if (netty instanceof ByteBuf) {
        ByteBuf bytes = (ByteBuf) netty;
        if (bytes.readableBytes() > to.remaining()) {
          throw new IOException("the block has grown");
        }
        for (ByteBuffer part : bytes.nioBuffers()) {
          put(part, to, copied);
        }
      } else {
        copy((FileRegion) netty, new Into(to, copied));
      }
    } finally {
      ReferenceCountUtil.release(netty);
    }
  }

  private static void put(ByteBuffer from, ByteBuffer to, Consumer<ByteBuffer> copied) {
    int end = from.limit();
    while (from.position() < end) {
      from.limit(Math.min(end, from.position() + STEP));
      ByteBuffer part = to.duplicate();
      to.put(from);
      part.limit(to.position());
      copied.accept(part);
    }
    from.limit(end);
  }

  private static void copy(FileRegion region, WritableByteChannel to) throws IOException {
    while (region.transferred() < region.count()) {
      if (region.transferTo(to, region.transferred()) <= 0) {
        throw new EOFException("the block has shrunk");
      }
    }
  }

  private static final class OpenBlock implements Block {
    private final ManagedBuffer buffer;

    OpenBlock(ManagedBuffer buffer) {
      this.buffer = buffer;
    }

    @Override
    public long length() {
      return buffer.size();
    }

    @Override
    public FileRange file() {
      if (!(buffer instanceof FileSegmentManagedBuffer)) {
        return null; // also a block on disk: it may be encrypted there
      }
      FileSegmentManagedBuffer file = (FileSegmentManagedBuffer) buffer;
      return new FileRange(file.getFile().getAbsolutePath(), file.getOffset(), file.getLength());
    }

    @Override
    public void copyTo(ByteBuffer to, Consumer<ByteBuffer> copied) throws IOException {
      copy(buffer, to, copied);
    }

    @Override
    public void close() {
      buffer.release();
    }
  }

  /** A channel that writes into memory. */
  private static final class Into implements WritableByteChannel {
    private final ByteBuffer to;
    private final Consumer<ByteBuffer> copied;

    Into(ByteBuffer to, Consumer<ByteBuffer> copied) {
      this.to = to;
      this.copied = copied;
    }

    @Override
    public int write(ByteBuffer from) throws IOException {
      int n = from.remaining();
      if (n > to.remaining()) {
        throw new IOException("the block has grown");
      }
      put(from, to, copied);
      return n;
    }

    @Override
    public boolean isOpen() {
      return true;
    }

    @Override
    public void close() {}
  }
}
