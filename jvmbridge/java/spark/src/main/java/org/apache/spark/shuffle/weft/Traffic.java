package org.apache.spark.shuffle.weft;

import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.StringJoiner;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.LongAdder;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import weft.proto.BlockProto.Reason;

/** Which way this JVM's remote blocks came, why not by weft, and who said where parameter blocks are. Thread-safe. */
final class Traffic {
  private static final Logger LOG = LoggerFactory.getLogger(Traffic.class);

  /** Passes fallbacks on to the daemon's counters. */
  interface Reporter {
    void report(Reason reason, long blocks, long bytes);
  }

  private final Reporter reporter;
  private final LongAdder weftBlocks = new LongAdder();
  private final LongAdder weftBytes = new LongAdder();
  private final LongAdder rdmaBlocks = new LongAdder();
  private final LongAdder rdmaBytes = new LongAdder();
  private final LongAdder tlsBlocks = new LongAdder();
  private final LongAdder tlsBytes = new LongAdder();
  private final LongAdder nettyBlocks = new LongAdder();
  private final LongAdder nettyBytes = new LongAdder();
  private final LongAdder lookupsDriver = new LongAdder();
  private final LongAdder lookupsCached = new LongAdder();
  private final LongAdder parameterNanos = new LongAdder();
  private final Map<Reason, LongAdder> fallbacks = new ConcurrentHashMap<>();
  private volatile String device = "none";
  private volatile boolean software;

  Traffic(Reporter reporter) {
    this.reporter = reporter;
  }

  /**
   * @param transport as in Delivered
   */
  void byWeft(long bytes, String transport) {
    weftBlocks.increment();
    weftBytes.add(bytes);
    if (transport.equals("rdma")) {
      rdmaBlocks.increment();
      rdmaBytes.add(bytes);
    } else if (transport.equals("tcp+tls")) {
      tlsBlocks.increment();
      tlsBytes.add(bytes);
    }
  }

  /** What the daemon of the newest session moves blocks by where it can; empty: no RDMA device. */
  void daemonHas(String name, boolean isSoftware) {
    device = name.isEmpty() ? "none" : name;
    software = isSoftware;
  }

  /** A block came by Spark's own client; reason is null where weft had no part in it. */
  void byNetty(Reason reason, long bytes) {
    nettyBlocks.increment();
    nettyBytes.add(bytes);
    if (reason != null) {
      reporter.report(reason, 0, bytes);
    }
  }

  /**
   * Blocks are left to Spark's own client. The first time for each reason it is logged: as a warning, where the reason was not
   * one when it was found out.
   */
  void fallback(Reason reason, int blocks, String peer, String detail) {
    LongAdder count = new LongAdder();
    LongAdder before = fallbacks.putIfAbsent(reason, count);
    (before != null ? before : count).add(blocks);
    reporter.report(reason, blocks, 0);
    if (before == null) {
      String line =
          String.format(
              "weft: %d block(s) of executor %s go by Spark's own transfer service: %s (%s). %s Further ones are only counted.",
              blocks, peer, word(reason), detail, Advice.on(reason));
      if (isWarnedOf(reason)) {
        LOG.info(line);
      } else {
        LOG.warn(line);
      }
    }
  }

  /** WeftRuntime warns of this itself, before any block is asked for. */
  private static boolean isWarnedOf(Reason reason) {
    return reason == Reason.REASON_DAEMON_GONE;
  }

  static String word(Reason reason) {
    return reason.name().substring("REASON_".length()).toLowerCase(Locale.ROOT);
  }

  /** The driver was asked where a parameter block is. */
  void lookedUpAtDriver() {
    lookupsDriver.increment();
  }

  /** It was known where a parameter block is. */
  void lookedUpHere() {
    lookupsCached.increment();
  }

  /** A call for a parameter block took so long, whichever way the block came. */
  void fetchedParameter(long nanos) {
    parameterNanos.add(nanos);
  }

  /** parameter_lookups_driver=... parameter_lookups_cached=... parameter_fetch_us=... (the sum of what each fetch took, from call to return) */
  String lookups() {
    return String.format(
        "parameter_lookups_driver=%d parameter_lookups_cached=%d parameter_fetch_us=%d",
        lookupsDriver.sum(),
        lookupsCached.sum(),
        parameterNanos.sum() / 1000);
  }

  /** rdma_blocks=... rdma_bytes=... (these are also among weft's) rdma_device=... rdma_software=... */
  String rdma() {
    return String.format(
        "rdma_blocks=%d rdma_bytes=%d rdma_device=%s rdma_software=%b", rdmaBlocks.sum(), rdmaBytes.sum(), device, software);
  }

  /** tls_blocks=... tls_bytes=... (these are also among weft's): what was encrypted between two daemons. */
  String encrypted() {
    return String.format("tls_blocks=%d tls_bytes=%d", tlsBlocks.sum(), tlsBytes.sum());
  }

  /** The counts of {@link #summary}, {@link #rdma} and {@link #encrypted} by name, to be read at any time; those of fallbacks for every reason there is. */
  Map<String, LongSupplier> counts() {
    Map<String, LongSupplier> all = new TreeMap<>();
    all.put("weft_blocks", weftBlocks::sum);
    all.put("weft_bytes", weftBytes::sum);
    all.put("rdma_blocks", rdmaBlocks::sum);
    all.put("rdma_bytes", rdmaBytes::sum);
    all.put("tls_blocks", tlsBlocks::sum);
    all.put("tls_bytes", tlsBytes::sum);
    all.put("netty_blocks", nettyBlocks::sum);
    all.put("netty_bytes", nettyBytes::sum);
    for (Reason reason : Reason.values()) {
      if (reason != Reason.UNRECOGNIZED && reason != Reason.REASON_NONE) {
        all.put("fallback_blocks." + word(reason), () -> fallen(reason));
      }
    }
    return all;
  }

  private long fallen(Reason reason) {
    LongAdder count = fallbacks.get(reason);
    return count == null ? 0 : count.sum();
  }

  /** weft_blocks=... weft_bytes=... netty_blocks=... netty_bytes=... fallbacks={reason=n,...} */
  String summary() {
    StringJoiner reasons = new StringJoiner(",", "{", "}");
    Map<Reason, LongAdder> sorted = new EnumMap<>(Reason.class);
    sorted.putAll(fallbacks);
    sorted.forEach((reason, count) -> reasons.add(word(reason) + "=" + count.sum()));
    return String.format(
        "weft_blocks=%d weft_bytes=%d netty_blocks=%d netty_bytes=%d fallbacks=%s",
        weftBlocks.sum(), weftBytes.sum(), nettyBlocks.sum(), nettyBytes.sum(), reasons);
  }
}
