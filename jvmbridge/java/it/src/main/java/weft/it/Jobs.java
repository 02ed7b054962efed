package weft.it;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;

/**
 * Runs jobs in one application, one after the other. Prints {@code APP <id>}, then for each {@code RESULT <job> <sha256> <count>} and {@code TIME
 * <job> <seconds>}. A job goes by its name, or by its label {@code name.as} where it has one; in the event log its stages carry
 * that as job group.
 */
public final class Jobs {
  private static final Map<String, Job> ALL = new LinkedHashMap<>();

  static {
    ALL.put("groupByKey", KeyedJobs::groupByKey);
    ALL.put("sortByKey", KeyedJobs::sortByKey);
    ALL.put("join", KeyedJobs::join);
    ALL.put("aqesql", SqlJob::run);
    ALL.put("broadcast", BlockJobs::broadcast);
    ALL.put("cachedrdd", BlockJobs::cachedInMemory);
    ALL.put("diskrdd", BlockJobs::cachedOnDisk);
    ALL.put("taskresult", BlockJobs::taskResult);
    ALL.put("replication", BlockJobs::replication);
    ALL.put("bigblocks", (sc, args) -> ShuffleJob.run(sc, args, 8, 8, 8, 256 << 10));
    ALL.put("smallblocks", (sc, args) -> ShuffleJob.run(sc, args, 200, 200, 1, 1000));
    ALL.put("remoteblock", (sc, args) -> HugeBlockJob.run(sc, args, 64));
    ALL.put("hugeblock", (sc, args) -> HugeBlockJob.run(sc, args, 3 << 10));
    ALL.put("wordcount", TextJobs::wordCount);
    ALL.put("sort", TextJobs::sort);
    ALL.put("selfjoin", TextJobs::selfJoin);
  }

  private Jobs() {}

  public static void main(String[] argv) throws Exception {
    String input = null;
    String markers = null;
    List<Arguments> jobs = new ArrayList<>();
    for (int i = 0; i < argv.length; i++) {
      if (argv[i].equals("--input") && i + 1 < argv.length) {
        input = argv[++i];
      } else if (argv[i].equals("--marker-dir") && i + 1 < argv.length) {
        markers = argv[++i];
      } else if (argv[i].startsWith("-")) {
        throw new IllegalArgumentException("unknown option " + argv[i] + "\n" + usage());
      } else {
        for (String entry : argv[i].split(",")) {
          jobs.add(new Arguments(entry, input, markers));
        }
      }
    }
    if (jobs.isEmpty() || jobs.stream().anyMatch(j -> !ALL.containsKey(j.name))) {
      throw new IllegalArgumentException(usage());
    }
    try (JavaSparkContext sc = new JavaSparkContext(new SparkConf().setAppName("weft-it"))) {
      System.out.println("APP " + sc.sc().applicationId());
      for (Arguments args : jobs) {
        run(sc, args);
      }
      awaitNoTask(sc);
    }
  }

  /** The other attempts of speculated tasks may still read when the last job has its result; their executors must not end meanwhile. */
  private static void awaitNoTask(JavaSparkContext sc) throws InterruptedException {
    for (int i = 0; i < 500; i++) {
      if (Arrays.stream(sc.sc().statusTracker().getExecutorInfos()).allMatch(e -> e.numRunningTasks() == 0)) {
        return;
      }
      Thread.sleep(20);
    }
  }

  private static void run(JavaSparkContext sc, Arguments args) throws Exception {
    sc.setJobGroup(args.label, args.label);
    long start = System.nanoTime();
    Result result = ALL.get(args.name).run(sc, args);
    args.checkAllRead();
    System.out.println("RESULT " + args.label + " " + result.sha256 + " " + result.count);
    System.out.println(String.format("TIME %s %.3f", args.label, (System.nanoTime() - start) / 1e9));
    // Drops what the job left cached; its shuffles go when the application ends.
    sc.getPersistentRDDs().values().forEach(rdd -> rdd.unpersist(true));
  }

  private static String usage() {
    return "usage: weft.it.Jobs [--input DIR] [--marker-dir DIR] JOB[:KEY=VALUE...][,JOB...]; jobs: " + ALL.keySet();
  }
}
