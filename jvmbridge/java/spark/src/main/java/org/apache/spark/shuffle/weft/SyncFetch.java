package org.apache.spark.shuffle.weft;

import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import org.apache.spark.network.BlockTransferService;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.network.shuffle.BlockFetchingListener;
import org.apache.spark.network.shuffle.DownloadFileManager;
import org.apache.spark.storage.BlockManagerId;
import weft.proto.BlockProto.Reason;

/** One call to fetchBlockSync: by weft, else by Spark's own service. */
final class SyncFetch {
  private final Fetcher fetcher;
  private final BlockTransferService stock;
  private final ParameterLocations locations; // null: none are kept
  private final String host;
  private final int port;
  private final String executor;

  SyncFetch(
      Fetcher fetcher,
      BlockTransferService stock,
      ParameterLocations locations,
      String host,
      int port,
      String executor) {
    this.fetcher = fetcher;
    this.stock = stock;
    this.locations = locations;
    this.host = host;
    this.port = port;
    this.executor = executor;
  }

  /** Throws InterruptedException although it does not say so, like the Scala method that it stands for. */
  ManagedBuffer run(String name, DownloadFileManager downloads) {
    long start = System.nanoTime();
    try {
      return downloads != null ? intoFile(name, downloads) : intoHeap(name);
    } catch (InterruptedException e) {
      throw SyncFetch.<RuntimeException>undeclared(e);
    } catch (Throwable e) { // whatever Scala throws
      if (locations != null) {
        locations.forget(name);
      }
      throw e;
    } finally {
      if (locations != null && ParameterLocations.isParameter(name)) {
        fetcher.traffic().fetchedParameter(System.nanoTime() - start);
      }
    }
  }

  private ManagedBuffer intoHeap(String name) throws InterruptedException {
    Reason[] why = new Reason[1];
    ManagedBuffer block =
        fetcher.fetchSync(
            executor,
            name,
            (reason, detail) -> {
              why[0] = reason;
              fetcher.traffic().fallback(reason, 1, executor, detail);
            });
    if (block != null) {
      return block;
    }
    BlockManagerId now = locations == null ? null : locations.moved(name, executor, stock.hostName());
    if (now != null) {
      return new SyncFetch(fetcher, stock, null, now.host(), now.port(), now.executorId()).run(name, null);
    }
    block = stock.fetchBlockSync(host, port, executor, name, null);
    fetcher.traffic().byNetty(why[0], block.size());
    return block;
  }

  private ManagedBuffer intoFile(String name, DownloadFileManager downloads)
      throws InterruptedException {
    CompletableFuture<ManagedBuffer> result = new CompletableFuture<>();
    BlockFetchingListener listener =
        new BlockFetchingListener() {
          @Override
          public void onBlockFetchSuccess(String block, ManagedBuffer data) {
            result.complete(data); // a file: nothing to retain
          }

          @Override
          public void onBlockFetchFailure(String block, Throwable cause) {
            result.completeExceptionally(cause);
          }
        };
    fetcher.fetch(
        new StockFetch(stock, host, port, executor, listener, downloads, fetcher.traffic()),
        new String[] {name});
    try {
      return result.get();
    } catch (ExecutionException e) {
      throw SyncFetch.<RuntimeException>undeclared(e.getCause());
    }
  }

  @SuppressWarnings("unchecked")
  private static <E extends Throwable> E undeclared(Throwable e) throws E {
    throw (E) e;
  }
}
