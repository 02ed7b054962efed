package org.apache.spark.shuffle.weft;

import java.util.Collections;
import java.util.Map;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkContext;
import org.apache.spark.SparkEnv;
import org.apache.spark.api.plugin.DriverPlugin;
import org.apache.spark.api.plugin.ExecutorPlugin;
import org.apache.spark.api.plugin.PluginContext;
import org.apache.spark.api.plugin.SparkPlugin;

/**
 * Starts weft where the shuffle manager is made too early for that, and has Spark's metrics system show what blocks came by. Up to Spark
 * 3.5 the manager adds it; from 4.0 on a user does, for the metrics alone.
 */
public class WeftPlugin implements SparkPlugin {
  private static final String KEY = "spark.plugins";

  static void addTo(SparkConf conf) {
    String name = WeftPlugin.class.getName();
    String before = conf.get(KEY, "");
    if (before.isEmpty()) {
      conf.set(KEY, name);
    } else if (!before.contains(name)) {
      conf.set(KEY, before + "," + name);
    }
  }

  private static void start(PluginContext context) {
    Installer.install(SparkEnv.get());
    WeftRuntime weft = Installer.of(SparkEnv.get());
    if (weft != null) {
      weft.show(context.metricRegistry());
    }
  }

  @Override
  public DriverPlugin driverPlugin() {
    return new DriverPlugin() {
      @Override
      public Map<String, String> init(SparkContext context, PluginContext pluginContext) {
        start(pluginContext);
        return Collections.emptyMap();
      }
    };
  }

  @Override
  public ExecutorPlugin executorPlugin() {
    return new ExecutorPlugin() {
      @Override
      public void init(PluginContext pluginContext, Map<String, String> extraConf) {
        start(pluginContext);
      }
    };
  }
}
