package weft.it;

import java.util.Arrays;
import java.util.Collections;
import java.util.HashSet;
import java.util.List;
import org.apache.spark.SparkEnv;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;

/**
 * Two partitions that are cached on two different hosts. Spark runs what is zipped with them where they are cached, so a job
 * can decide which task runs on which executor.
 */
final class Pinned {
  private Pinned() {}

  /** One record, the host's name, in each of the two partitions. Needs idle executors. */
  static JavaRDD<String> twoHosts(JavaSparkContext sc) {
    for (int attempt = 0; attempt < 20; attempt++) {
      JavaRDD<String> pinned =
          sc.parallelize(Arrays.asList(0, 1), 2)
              .mapPartitions(it -> Collections.singletonList(SparkEnv.get().blockManager().blockManagerId().host()).iterator())
              .cache();
      List<String> hosts = pinned.collect();
      if (new HashSet<>(hosts).size() == 2) {
        return pinned;
      }
      pinned.unpersist(true);
    }
    throw new IllegalStateException("Spark ran both tasks on one host, twenty times; are there two?");
  }
}
