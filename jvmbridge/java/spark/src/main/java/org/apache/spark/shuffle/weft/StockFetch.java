package org.apache.spark.shuffle.weft;

import java.util.function.BiConsumer;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.network.shuffle.BlockFetchingListener;
import org.apache.spark.network.shuffle.BlockStoreClient;
import org.apache.spark.network.shuffle.DownloadFileManager;
import weft.proto.BlockProto.Reason;

/** One call to fetchBlocks as Spark made it, and the way back to Spark's own client for any of its blocks. Immutable. */
final class StockFetch {
  final BlockStoreClient stock;
  final String host;
  final int port;
  final String executor;
  final BlockFetchingListener listener;
  final DownloadFileManager downloads;
  final Traffic traffic;

  StockFetch(
      BlockStoreClient stock,
      String host,
      int port,
      String executor,
      BlockFetchingListener listener,
      DownloadFileManager downloads,
      Traffic traffic) {
    this.stock = stock;
    this.host = host;
    this.port = port;
    this.executor = executor;
    this.listener = listener;
    this.downloads = downloads;
    this.traffic = traffic;
  }

  /** Fetches these blocks by Spark's own client, whose success or failure is the listener's. May wait. */
  void run(String[] blocks, Reason reason) {
    run(blocks, reason, listener::onBlockFetchFailure);
  }

  /** As run, but failures are told to {@code failed}. */
  void run(String[] blocks, Reason reason, BiConsumer<String, Throwable> failed) {
    stock.fetchBlocks(host, port, executor, blocks, counted(reason, failed), downloads);
  }

  private BlockFetchingListener counted(Reason reason, BiConsumer<String, Throwable> failed) {
    return new BlockFetchingListener() {
      @Override
      public void onBlockFetchSuccess(String block, ManagedBuffer data) {
        traffic.byNetty(reason, data.size());
        listener.onBlockFetchSuccess(block, data);
      }

      @Override
      public void onBlockFetchFailure(String block, Throwable cause) {
        failed.accept(block, cause);
      }
    };
  }
}
