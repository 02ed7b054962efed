package weft.bigdl;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.spark.SparkContext;
import org.apache.spark.SparkEnv;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.api.java.function.FlatMapFunction;

/**
 * Asks each executor, by a job of its own after the training, where it is and what its blocks came by. Nothing else brings that to the driver on
 * any cluster: what executors log last, a standalone Worker does not keep.
 */
final class Executors {
  private static final int ROUNDS = 10;

  private Executors() {}

  /** Prints a line for each executor, as far as they have told: whoever reads them knows how many there should be. */
  static void tell(SparkContext sc) {
    int cores = sc.getConf().getInt("spark.cores.max", 1);
    int wanted = cores / sc.getConf().getInt("spark.executor.cores", 1);
    Map<String, String> told = new TreeMap<>();
    for (int round = 0; round < ROUNDS && told.size() < wanted; round++) { // a quick executor may take another's task
      for (String line : JavaSparkContext.fromSparkContext(sc).parallelize(numbers(cores), cores).mapPartitions(new Ask()).collect()) {
        told.put(line.substring(0, line.indexOf(' ')), line);
      }
    }
    told.values().forEach(line -> System.out.print("EXECUTOR " + line + "\n")); // in one piece: what is logged goes to the same file
  }

  private static List<Integer> numbers(int n) {
    List<Integer> numbers = new ArrayList<>();
    for (int i = 0; i < n; i++) {
      numbers.add(i);
    }
    return numbers;
  }

  /** executor=ID host=HOST, and behind it what weft has to say, where it takes part. */
  private static final class Ask implements FlatMapFunction<Iterator<Integer>, String> {
    private static final long serialVersionUID = 1;

    @Override
    public Iterator<String> call(Iterator<Integer> none) throws ReflectiveOperationException {
      SparkEnv env = SparkEnv.get();
      String line = "executor=" + env.executorId() + " host=" + env.blockManager().blockManagerId().host();
      Object manager = env.shuffleManager();
      if (manager.getClass().getName().equals("org.apache.spark.shuffle.weft.WeftShuffleManager")) {
        // This jar is built, and works, without weft's.
        line += " " + manager.getClass().getMethod("figures").invoke(manager);
      }
      return Collections.singletonList(line).iterator();
    }
  }
}
