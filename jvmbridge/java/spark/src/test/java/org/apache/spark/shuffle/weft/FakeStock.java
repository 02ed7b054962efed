package org.apache.spark.shuffle.weft;

import java.io.File;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.spark.network.BlockDataManager;
import org.apache.spark.network.BlockTransferService;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.network.buffer.NioManagedBuffer;
import org.apache.spark.network.shuffle.BlockFetchingListener;
import org.apache.spark.network.shuffle.DownloadFile;
import org.apache.spark.network.shuffle.DownloadFileManager;
import org.apache.spark.network.shuffle.SimpleDownloadFile;
import org.apache.spark.network.util.TransportConf;
import org.apache.spark.storage.BlockId;
import org.apache.spark.storage.StorageLevel;
import scala.concurrent.Future;
import scala.reflect.ClassTag;
import scala.runtime.BoxedUnit;

/** Spark's own service: delivers every block as its name, but those that are to fail. */
final class FakeStock extends BlockTransferService {
  final List<String> fetched = new ArrayList<>();
  final List<String> failing = new ArrayList<>();

  @Override
  public void fetchBlocks(
      String host,
      int port,
      String execId,
      String[] blocks,
      BlockFetchingListener listener,
      DownloadFileManager downloads) {
    synchronized (this) {
      fetched.add(host + ":" + port + " " + execId + " " + Arrays.toString(blocks));
    }
    for (String block : blocks) {
      if (failing.contains(block)) {
        listener.onBlockFetchFailure(block, new IOException("netty failed"));
      } else {
        listener.onBlockFetchSuccess(block, new NioManagedBuffer(ByteBuffer.wrap(block.getBytes())));
      }
    }
  }

  synchronized List<String> fetched() {
    return new ArrayList<>(fetched);
  }

  @Override
  public void init(BlockDataManager blockDataManager) {}

  @Override
  public int port() {
    return 1;
  }

  @Override
  public String hostName() {
    return "host";
  }

  @Override
  public Future<BoxedUnit> uploadBlock(
      String host, int port, String execId, BlockId id, ManagedBuffer data, StorageLevel level, ClassTag<?> tag) {
    throw new UnsupportedOperationException();
  }

  @Override
  public void close() {}

  /** Records what Spark is told of each block. */
  static final class Listener implements BlockFetchingListener {
    final Map<String, Object> results = new ConcurrentHashMap<>();
    final List<String> twice = new ArrayList<>();

    @Override
    public synchronized void onBlockFetchSuccess(String block, ManagedBuffer data) {
      data.retain();
      put(block, data);
    }

    @Override
    public synchronized void onBlockFetchFailure(String block, Throwable cause) {
      put(block, cause);
    }

    private void put(String block, Object result) {
      if (results.put(block, result) != null) {
        twice.add(block);
      }
      notifyAll();
    }

    synchronized void await(int blocks) throws InterruptedException {
      while (results.size() < blocks) {
        wait();
      }
      if (!twice.isEmpty()) {
        throw new AssertionError("told twice: " + twice);
      }
    }

    byte[] bytes(String block) throws IOException {
      ByteBuffer view = ((ManagedBuffer) results.get(block)).nioByteBuffer();
      byte[] copy = new byte[view.remaining()];
      view.get(copy);
      return copy;
    }
  }

  /** Files in a directory. */
  static final class Downloads implements DownloadFileManager {
    final File dir;
    final List<DownloadFile> registered = new ArrayList<>();
    boolean failing;

    Downloads(File dir) {
      this.dir = dir;
    }

    @Override
    public DownloadFile createTempFile(TransportConf conf) {
      try {
        File file = failing ? new File(dir, "missing/x") : Files.createTempFile(dir.toPath(), "block", "").toFile();
        return new SimpleDownloadFile(file, conf);
      } catch (IOException e) {
        throw new IllegalStateException(e);
      }
    }

    @Override
    public synchronized boolean registerTempFileToClean(DownloadFile file) {
      return registered.add(file);
    }
  }
}
