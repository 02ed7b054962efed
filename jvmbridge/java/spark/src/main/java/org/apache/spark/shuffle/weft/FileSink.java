package org.apache.spark.shuffle.weft;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.concurrent.Executor;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.network.shuffle.DownloadFile;
import org.apache.spark.network.shuffle.DownloadFileWritableChannel;
import org.apache.spark.network.util.TransportConf;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import weft.bridge.FetchSink;
import weft.bridge.Share;
import weft.proto.BlockProto.Reason;

/** Writes blocks to the files that the reader wants them in, piece by piece, one piece of a fetch at a time. */
final class FileSink implements FetchSink {
  private static final Logger LOG = LoggerFactory.getLogger(FileSink.class);

  private final Fetcher fetcher;
  private final StockFetch fetch;
  private final String[] names;
  private final Executor serial;
  private final TransportConf conf;
  private final Target[] targets;

  FileSink(Fetcher fetcher, StockFetch fetch, String[] names, Executor workers, TransportConf conf) {
    this.fetcher = fetcher;
    this.fetch = fetch;
    this.names = names;
    this.serial = new SerialExecutor(workers);
    this.conf = conf;
    this.targets = new Target[names.length];
  }

  @Override
  public void piece(int block, long offset, long length, Share share, String transport) {
    serial.execute(() -> write(block, offset, length, share, transport));
  }

  private void write(int block, long offset, long length, Share share, String transport) {
    Target target = targets[block];
    if (target == null) {
      target = new Target();
      targets[block] = target;
    }
    boolean last = offset + share.length() == length;
    try {
      target.write(share);
    } catch (IOException | RuntimeException | Error e) {
      target.fail(names[block], e);
    } finally {
      share.release();
    }
    if (!last) {
      return;
    }
    ManagedBuffer file = target.finish(names[block]);
    if (file == null) {
      fetcher.fallBack(
          fetch, new String[] {names[block]}, Reason.REASON_INTERNAL, "its file could not be written");
      return;
    }
    fetcher.traffic().byWeft(length, transport);
    try {
      fetch.listener.onBlockFetchSuccess(names[block], file);
    } catch (RuntimeException | Error e) {
      LOG.error("weft: the receiver of block {} failed", names[block], e);
    }
    target.handOver();
  }

  @Override
  public void failed(int[] blocks, Reason reason, String detail) {
    serial.execute(
        () -> {
          for (int block : blocks) {
            if (targets[block] != null) {
              targets[block].drop();
            }
          }
          fetcher.fallBack(fetch, MemorySink.pick(names, blocks), reason, detail);
        });
  }

  @Override
  public void delivered(int block, Share share, String transport) {
    share.release();
    throw new IllegalStateException("weft: a whole block that was asked for in pieces");
  }

  /** The file of one block. */
  private final class Target {
    private DownloadFile file;
    private DownloadFileWritableChannel channel;
    private boolean failed;

    void write(Share share) throws IOException {
      if (failed) {
        return;
      }
      if (file == null) {
        file = fetch.downloads.createTempFile(conf);
        channel = file.openForWriting();
      }
      ByteBuffer bytes = share.bytes();
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
    }

    void fail(String name, Throwable cause) {
      LOG.warn("weft: block {} could not be written to {}", name, file, cause);
      failed = true;
      drop();
    }

    /** The written file, or null. */
    ManagedBuffer finish(String name) {
      if (!failed) {
        try {
          return channel.closeAndRead();
        } catch (IOException | RuntimeException | Error e) {
          fail(name, e);
        }
      }
      return null;
    }

    void handOver() {
      if (!fetch.downloads.registerTempFileToClean(file)) {
        file.delete();
      }
    }

    void drop() {
      try {
        if (channel != null) {
          channel.close();
        }
      } catch (IOException | RuntimeException e) {
        LOG.debug("weft: closing {}", file, e);
      }
      if (file != null) {
        file.delete();
      }
    }
  }
}
