package weft.bench;

import java.util.Arrays;
import java.util.Locale;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicReference;
import org.apache.spark.SparkEnv;
import org.apache.spark.network.BlockTransferService;
import org.apache.spark.network.buffer.ManagedBuffer;
import org.apache.spark.network.shuffle.BlockFetchingListener;

/**
 * One client, fetching request after request: map outputs by fetchBlocks, whose buffers are released as they arrive, their bytes not
 * touched, or one block in its owner's memory by fetchBlockSync, which gives a heap array. For both implementations alike.
 */
final class FetchLoop {
  private final String impl;
  private final BlockTransferService client;
  private final FetchBench.Owner owner;
  private final Usage usage = new Usage();

  private FetchLoop(String impl, BlockTransferService client, FetchBench.Owner owner) {
    this.impl = impl;
    this.client = client;
    this.owner = owner;
  }

  static FetchLoop weft(FetchBench.Owner owner) {
    return new FetchLoop("weft", SparkEnv.get().blockManager().blockTransferService(), owner);
  }

  static FetchLoop netty(FetchBench.Owner owner) {
    BlockTransferService swapped = SparkEnv.get().blockManager().blockTransferService();
    return new FetchLoop("netty", (BlockTransferService) Reflect.field(swapped, "stock"), owner);
  }

  /** Fetches map outputs for about {@code millis} and returns the record as JSON. */
  String mapOutputs(int blockBytes, int requestBlocks, int millis) throws InterruptedException {
    return run("map output", blockBytes, requestBlocks, millis, n -> fetch(blockBytes, requestBlocks, n * requestBlocks));
  }

  /** The same of one block at a time that lies in its owner's memory. */
  String memory(int blockBytes, int millis) throws InterruptedException {
    return run("memory", blockBytes, 1, millis, n -> fetchSync(blockBytes));
  }

  private interface Fetch {
    void run(int n) throws InterruptedException;
  }

  private String run(String from, int blockBytes, int requestBlocks, int millis, Fetch fetch) throws InterruptedException {
    fetch.run(0); // opens the connection, fills caches
    long[] nanos = new long[1 << 20];
    int n = 0;
    usage.start();
    long begin = System.nanoTime();
    long end = begin;
    while (n < nanos.length && end - begin < millis * 1_000_000L) {
      fetch.run(n);
      long now = System.nanoTime();
      nanos[n++] = now - end;
      end = now;
    }
    usage.stop();
    double seconds = (end - begin) / 1e9;
    double bytes = (double) n * requestBlocks * blockBytes;
    Arrays.sort(nanos, 0, n);
    return String.format(
        Locale.ROOT,
        "{\"impl\":\"%s\",\"transport\":\"tcp\",\"from\":\"%s\",\"block_bytes\":%d,\"request_blocks\":%d,\"gb_per_s\":%.6f,\"blocks_per_s\":%.1f,"
            + "\"p50_us\":%.1f,\"p99_us\":%.1f,\"cpu_s_per_gb\":%.4f,\"jvm_alloc_per_byte\":%.6f}",
        impl, from, blockBytes, requestBlocks, bytes / seconds / 1e9, n * (double) requestBlocks / seconds,
        nanos[n / 2] / 1e3, nanos[(int) (n * 0.99)] / 1e3, usage.cpuSeconds() / (bytes / 1e9), usage.allocatedBytes() / bytes);
  }

  private void fetchSync(int blockBytes) {
    ManagedBuffer data = client.fetchBlockSync(owner.host, owner.port, owner.executor, MemoryBlock.name(owner.executor, blockBytes), null);
    if (data.size() != blockBytes) {
      throw new IllegalStateException(impl + ": a block of " + data.size() + " bytes instead of " + blockBytes);
    }
  }

  private void fetch(int blockBytes, int requestBlocks, int first) throws InterruptedException {
    String[] ids = new String[requestBlocks];
    for (int i = 0; i < requestBlocks; i++) {
      int reduce = (first + i) % FetchBench.BLOCKS;
      ids[i] = "shuffle_" + FetchBench.shuffleId(blockBytes) + "_" + BenchMapOutput.MAP_ID + "_" + reduce;
    }
    CountDownLatch left = new CountDownLatch(requestBlocks);
    AtomicReference<Throwable> failure = new AtomicReference<>();
    client.fetchBlocks(
        owner.host, owner.port, owner.executor, ids,
        new BlockFetchingListener() {
          @Override
          public void onBlockFetchSuccess(String id, ManagedBuffer data) {
            if (data.size() != blockBytes) {
              failure.compareAndSet(null, new IllegalStateException(id + " has " + data.size() + " bytes"));
            }
            left.countDown(); // not retained: the producer releases it when this returns
          }

          @Override
          public void onBlockFetchFailure(String id, Throwable e) {
            failure.compareAndSet(null, e);
            left.countDown();
          }
        },
        null);
    left.await();
    if (failure.get() != null) {
      throw new IllegalStateException(impl + " failed", failure.get());
    }
  }
}
