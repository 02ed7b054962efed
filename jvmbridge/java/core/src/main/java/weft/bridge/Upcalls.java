package weft.bridge;

import com.google.protobuf.UnsafeByteOperations;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.function.Consumer;
import java.util.function.LongFunction;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import weft.proto.BlockProto.Reason;
import weft.proto.BridgeProto.BlockCopied;
import weft.proto.BridgeProto.BlockOpened;
import weft.proto.BridgeProto.CloseBlock;
import weft.proto.BridgeProto.CopyBlock;
import weft.proto.BridgeProto.FileRange;
import weft.proto.BridgeProto.OpenBlock;
import weft.proto.BridgeProto.ToDaemon;
import weft.proto.BridgeProto.UpcallError;

/**
 * Answers the daemon's questions for blocks of this executor. The questions come on the event loop, where small blocks that lie ready in
 * memory are answered at once; what opens, copies or closes runs on the workers.
 */
final class Upcalls {
  /** Blocks up to this long travel inside the answer, and so never by RDMA; a test that wants to see that sets it lower. */
  static final int INLINE = Integer.getInteger("weft.upcall.inline", 64 << 10);

  private static final Logger LOG = LoggerFactory.getLogger(Upcalls.class);

  private final BlockSource source;
  private final Executor workers;
  private final Consumer<ToDaemon> send;
  private final Map<Long, Upcall> open = new ConcurrentHashMap<>();

  /**
   * @param send may be called from any thread; drops the frame when the session has ended
   */
  Upcalls(BlockSource source, Executor workers, Consumer<ToDaemon> send) {
    this.source = source;
    this.workers = workers;
    this.send = send;
  }

  void open(OpenBlock question) throws IOException {
    ByteBuffer small = source.tryCopy(question.getName(), INLINE);
    if (small != null) { // which saves two changes of thread, a good part of what a small block takes
      send.accept(ToDaemon.newBuilder().setBlockOpened(inline(question.getUpcallId(), small)).build());
      return;
    }
    Upcall upcall = new Upcall(question.getUpcallId());
    if (open.putIfAbsent(upcall.id, upcall) != null) {
      throw new IOException("weft: the daemon used upcall " + upcall.id + " twice");
    }
    run(() -> send.accept(opened(upcall, question.getName())));
  }

  private ToDaemon opened(Upcall upcall, String name) {
    BlockOpened.Builder answer = BlockOpened.newBuilder().setUpcallId(upcall.id);
    boolean keep = false;
    try {
      keep = upcall.open(source, name, answer);
    } catch (BlockSource.NotFound e) {
      answer.setError(error(Reason.REASON_NOT_FOUND, e));
    } catch (IOException | RuntimeException e) {
      LOG.warn("weft: block {} could not be opened for a peer, which fetches it another way", name, e);
      answer.setError(error(Reason.REASON_INTERNAL, e));
    }
    if (!keep) {
      open.remove(upcall.id);
    }
    return ToDaemon.newBuilder().setBlockOpened(answer).build();
  }

  /**
   * @param segments the upcall segment of a number, held for the caller; null when there is none
   */
  void copy(CopyBlock question, LongFunction<Segment> segments) {
    Upcall upcall = open.get(question.getUpcallId());
    Segment segment = segments.apply(question.getSegment());
    BlockCopied.Builder answer = BlockCopied.newBuilder().setUpcallId(question.getUpcallId());
    if (segment == null) {
      send.accept(ToDaemon.newBuilder().setBlockCopied(answer.setError("no such upcall segment")).build());
      return;
    }
    run(
        () -> {
          try {
            if (upcall == null) {
              throw new IOException("the block is not open");
            }
            Crc32c sum = question.getChecksum() ? Crc32c.create() : null;
            upcall.copy(segment, question.getOffset(), sum == null ? part -> {} : sum::update);
            if (sum != null) {
              answer.setChecksum(sum.value());
            }
          } catch (IOException | RuntimeException e) {
            LOG.warn("weft: a block could not be copied for a peer, which fetches it another way", e);
            answer.setError(String.valueOf(e.getMessage()));
          } finally {
            segment.release();
          }
          send.accept(ToDaemon.newBuilder().setBlockCopied(answer).build());
        });
  }

  void close(CloseBlock question) {
    Upcall upcall = open.remove(question.getUpcallId());
    if (upcall != null) {
      run(upcall::close);
    }
  }

  /** The session has ended. */
  void closeAll() {
    for (Long id : open.keySet()) {
      Upcall upcall = open.remove(id);
      if (upcall != null) {
        run(upcall::close);
      }
    }
  }

  int openCount() {
    return open.size();
  }

  private void run(Runnable work) {
    try {
      workers.execute(work);
    } catch (RejectedExecutionException e) {
      LOG.debug("weft: asked for a block while the executor stops", e);
    }
  }

  private static BlockOpened.Builder inline(long upcall, ByteBuffer bytes) {
    return BlockOpened.newBuilder().setUpcallId(upcall).setInline(UnsafeByteOperations.unsafeWrap(bytes));
  }

  private static UpcallError error(Reason reason, Exception e) {
    return UpcallError.newBuilder().setReason(reason).setDetail(String.valueOf(e.getMessage())).build();
  }

  /** One block from OpenBlock to CloseBlock. Its lock keeps the three apart, in whatever order the workers take them. */
  private static final class Upcall {
    private final long id;
    private BlockSource.Block block;
    private boolean closed;

    Upcall(long id) {
      this.id = id;
    }

    /** Fills in the answer; true when the block stays open. */
    synchronized boolean open(BlockSource source, String name, BlockOpened.Builder answer)
        throws IOException {
      if (closed) {
        throw new IOException("closed before it was opened");
      }
      BlockSource.Block opened = source.open(name);
      try {
        long length = opened.length();
        BlockSource.FileRange file = opened.file();
        if (file != null) {
          answer.setFile(
              FileRange.newBuilder().setPath(file.path).setOffset(file.offset).setLength(file.length));
        } else if (length <= INLINE) {
          ByteBuffer bytes = ByteBuffer.allocate((int) length);
          opened.copyTo(bytes, part -> {});
          if (bytes.hasRemaining()) {
            throw new IOException("the block is " + bytes.remaining() + " bytes shorter than it said");
          }
          bytes.flip();
          answer.setInline(UnsafeByteOperations.unsafeWrap(bytes));
        } else {
          answer.setLength(length);
          block = opened;
        }
      } finally {
        if (block == null) {
          opened.close();
        }
      }
      return block != null;
    }

    synchronized void copy(Segment segment, long offset, Consumer<ByteBuffer> copied)
        throws IOException {
      if (block == null) {
        throw new IOException("the block is not open");
      }
      segment.check(offset, block.length());
      ByteBuffer to = segment.slice(offset, block.length());
      block.copyTo(to, copied);
      if (to.hasRemaining()) {
        throw new IOException("the block is " + to.remaining() + " bytes shorter than it said");
      }
    }

    synchronized void close() {
      closed = true;
      if (block != null) {
        block.close();
        block = null;
      }
    }
  }
}
