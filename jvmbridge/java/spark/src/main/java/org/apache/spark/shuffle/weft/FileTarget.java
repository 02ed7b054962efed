package org.apache.spark.shuffle.weft;

import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.network.shuffle.DownloadFile;
import org.apache.spark.network.shuffle.DownloadFileManager;
import org.apache.spark.network.shuffle.DownloadFileWritableChannel;
import org.apache.spark.network.util.TransportConf;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import weft.bridge.Share;

/** A file of the reader's, as it wants blocks above {@code spark.network.maxRemoteBlockSizeFetchToMem}. */
final class FileTarget implements PieceSink.Target {
  private static final Logger LOG = LoggerFactory.getLogger(FileTarget.class);

  private final DownloadFileManager downloads;
  private final TransportConf conf;
  private DownloadFile file;
  private DownloadFileWritableChannel channel;

  FileTarget(DownloadFileManager downloads, TransportConf conf) {
    this.downloads = downloads;
    this.conf = conf;
  }

  @Override
  public void write(Share share, long offset, long blockLength) throws IOException {
    if (file == null) {
      file = downloads.createTempFile(conf);
      channel = file.openForWriting();
    }
    ByteBuffer bytes = share.bytes();
    while (bytes.hasRemaining()) {
      channel.write(bytes);
    }
  }

  @Override
  public ManagedBuffer finish() throws IOException {
    return channel.closeAndRead();
  }

  @Override
  public void handedOver() {
    if (!downloads.registerTempFileToClean(file)) {
      file.delete();
    }
  }

  @Override
  public void drop() {
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
