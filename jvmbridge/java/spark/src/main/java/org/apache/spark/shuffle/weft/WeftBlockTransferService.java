package org.apache.spark.shuffle.weft;

import com.codahale.metrics.MetricSet;
import java.io.IOException;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.apache.spark.network.BlockDataManager;
import org.apache.spark.network.BlockTransferService;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.network.shuffle.BlockFetchingListener;
import org.apache.spark.network.shuffle.BlockPushingListener;
import org.apache.spark.network.shuffle.DownloadFileManager;
import org.apache.spark.network.shuffle.MergeFinalizerListener;
import org.apache.spark.network.shuffle.MergedBlocksMetaListener;
import org.apache.spark.network.shuffle.checksum.Cause;
import org.apache.spark.storage.BlockId;
import org.apache.spark.storage.StorageLevel;
import scala.concurrent.Future;
import scala.reflect.ClassTag;
import scala.runtime.BoxedUnit;

/** Stands before Spark's block transfer service: fetches by weft, everything else is the stock service's. */
final class WeftBlockTransferService extends BlockTransferService {
  private final BlockTransferService stock;
  private final WeftRuntime runtime;
  private final Fetcher fetcher;
  private volatile ParameterLocations locations; // null: none are kept

  WeftBlockTransferService(BlockTransferService stock, WeftRuntime runtime) {
    this.stock = stock;
    this.runtime = runtime;
    this.fetcher = runtime.fetcher();
  }

  /** Has fetches of a block tell these when they fail. */
  void report(ParameterLocations to) {
    this.locations = to;
  }

  WeftRuntime runtime() {
    return runtime;
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
  public ManagedBuffer fetchBlockSync(
      String host, int port, String execId, String blockId, DownloadFileManager downloads) {
    return new SyncFetch(fetcher, stock, locations, host, port, execId).run(blockId, downloads);
  }

  @Override
  public void init(BlockDataManager blockDataManager) {
    stock.init(blockDataManager);
  }

  @Override
  public int port() {
    return stock.port();
  }

  @Override
  public String hostName() {
    return stock.hostName();
  }

  @Override
  public Future<BoxedUnit> uploadBlock(
      String hostName,
      int port,
      String execId,
      BlockId blockId,
      ManagedBuffer data,
      StorageLevel level,
      ClassTag<?> tag) {
    return stock.uploadBlock(hostName, port, execId, blockId, data, level, tag);
  }

  @Override
  public void uploadBlockSync(
      String hostName,
      int port,
      String execId,
      BlockId blockId,
      ManagedBuffer data,
      StorageLevel level,
      ClassTag<?> tag)
      throws IOException {
    stock.uploadBlockSync(hostName, port, execId, blockId, data, level, tag);
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
