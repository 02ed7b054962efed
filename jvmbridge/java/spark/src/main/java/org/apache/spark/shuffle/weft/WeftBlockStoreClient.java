package org.apache.spark.shuffle.weft;

import com.codahale.metrics.MetricSet;
import java.io.IOException;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.network.shuffle.BlockFetchingListener;
import org.apache.spark.network.shuffle.BlockPushingListener;
import org.apache.spark.network.shuffle.BlockStoreClient;
import org.apache.spark.network.shuffle.DownloadFileManager;
import org.apache.spark.network.shuffle.MergeFinalizerListener;
import org.apache.spark.network.shuffle.MergedBlocksMetaListener;
import org.apache.spark.network.shuffle.checksum.Cause;

/** Stands before the client of the external shuffle service: fetches by weft, everything else is the stock client's. */
final class WeftBlockStoreClient extends BlockStoreClient {
  private final BlockStoreClient stock;
  private final Fetcher fetcher;

  WeftBlockStoreClient(BlockStoreClient stock, Fetcher fetcher) {
    this.stock = stock;
    this.fetcher = fetcher;
  }

  @Override
  public void fetchBlocks(
      String host,
      int port,
      String execId,
      String[] blockIds,
      BlockFetchingListener listener,
      DownloadFileManager downloads) {
    fetcher.fetch(
        new StockFetch(stock, host, port, execId, listener, downloads, fetcher.traffic()), blockIds);
  }

  @Override
  public MetricSet shuffleMetrics() {
    return stock.shuffleMetrics();
  }

  @Override
  public void setAppAttemptId(String appAttemptId) {
    stock.setAppAttemptId(appAttemptId);
  }

  @Override
  public String getAppAttemptId() {
    return stock.getAppAttemptId();
  }

  @Override
  public Cause diagnoseCorruption(
      String host,
      int port,
      String execId,
      int shuffleId,
      long mapId,
      int reduceId,
      long checksum,
      String algorithm) {
    return stock.diagnoseCorruption(
        host, port, execId, shuffleId, mapId, reduceId, checksum, algorithm);
  }

  @Override
  public void getHostLocalDirs(
      String host,
      int port,
      String[] execIds,
      CompletableFuture<Map<String, String[]>> hostLocalDirs) {
    stock.getHostLocalDirs(host, port, execIds, hostLocalDirs);
  }

  @Override
  public void pushBlocks(
      String host,
      int port,
      String[] blockIds,
      ManagedBuffer[] buffers,
      BlockPushingListener listener) {
    stock.pushBlocks(host, port, blockIds, buffers, listener);
  }

  @Override
  public void finalizeShuffleMerge(
      String host, int port, int shuffleId, int shuffleMergeId, MergeFinalizerListener listener) {
    stock.finalizeShuffleMerge(host, port, shuffleId, shuffleMergeId, listener);
  }

  @Override
  public void getMergedBlockMeta(
      String host,
      int port,
      int shuffleId,
      int shuffleMergeId,
      int reduceId,
      MergedBlocksMetaListener listener) {
    stock.getMergedBlockMeta(host, port, shuffleId, shuffleMergeId, reduceId, listener);
  }

  @Override
  public boolean removeShuffleMerge(String host, int port, int shuffleId, int shuffleMergeId) {
    return stock.removeShuffleMerge(host, port, shuffleId, shuffleMergeId);
  }

  @Override
  public void close() throws IOException {
    stock.close();
  }
}
