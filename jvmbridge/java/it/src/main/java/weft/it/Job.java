package weft.it;

import org.apache.spark.api.java.JavaSparkContext;

/** One job. It must give the same result whatever the order in which blocks arrive. */
@FunctionalInterface
interface Job {
  Result run(JavaSparkContext sc, Arguments args) throws Exception;
}
