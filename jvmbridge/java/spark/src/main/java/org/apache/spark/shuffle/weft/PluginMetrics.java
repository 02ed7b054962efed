package org.apache.spark.shuffle.weft;

import com.codahale.metrics.Gauge;
import com.codahale.metrics.MetricRegistry;
import java.util.Map;
import java.util.function.LongSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** What a JVM's blocks came by, as gauges of Spark's metrics system: its sinks name each {@code plugin.<WeftPlugin>.<figure>}. */
final class PluginMetrics {
  private static final Logger LOG = LoggerFactory.getLogger(PluginMetrics.class);

  private PluginMetrics() {}

  /** Registers a gauge for each figure. What cannot be shown stops nothing: this is called while Spark starts. */
  static void show(MetricRegistry registry, Map<String, LongSupplier> figures) {
    try {
      figures.forEach((name, figure) -> registry.register(name, (Gauge<Long>) figure::getAsLong));
    } catch (RuntimeException | LinkageError e) { // also a member that this Spark's library lacks
      LOG.warn("weft: Spark's metrics system does not show what blocks come by; the last log line tells it: {}", e.toString());
    }
  }
}
