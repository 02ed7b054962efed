package weft.it;

import java.util.Arrays;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/** A query whose joins are shuffled and whose small reduce partitions are read together, as adaptive execution does. */
final class SqlJob {
  private SqlJob() {}

  static Result run(JavaSparkContext sc, Arguments args) {
    SparkSession spark = SparkSession.builder().getOrCreate();
    spark.conf().set("spark.sql.adaptive.enabled", "true");
    spark.conf().set("spark.sql.adaptive.coalescePartitions.enabled", "true");
    spark.conf().set("spark.sql.autoBroadcastJoinThreshold", "-1");
    spark.conf().set("spark.sql.shuffle.partitions", Integer.toString(args.get("reduces", 40)));
    int rows = args.get("rows", 300_000);
    spark.range(0, rows, 1, 8).selectExpr("id % 5000 AS k", "id * 7 AS v").createOrReplaceTempView("facts");
    spark.range(0, 5000, 1, 4).selectExpr("id AS k", "concat('name ', id % 97) AS name").createOrReplaceTempView("names");
    Digest digest = new Digest();
    for (Row row :
        spark
            .sql(
                "SELECT name, count(*) AS n, sum(v) AS total, max(v) AS top FROM facts JOIN names ON facts.k = names.k"
                    + " GROUP BY name ORDER BY name")
            .collectAsList()) {
      digest.addSorted(row.getString(0), row.mkString(","));
    }
    return Digest.combine(Arrays.asList(digest));
  }
}
