package weft.bigdl;

import com.intel.analytics.bigdl.dllib.feature.dataset.AbstractDataSet;
import com.intel.analytics.bigdl.dllib.nn.ClassNLLCriterion;
import com.intel.analytics.bigdl.dllib.nn.abstractnn.AbstractModule;
import com.intel.analytics.bigdl.dllib.optim.Optimizer;
import com.intel.analytics.bigdl.dllib.optim.Optimizer$;
import com.intel.analytics.bigdl.dllib.optim.SGD;
import com.intel.analytics.bigdl.dllib.optim.Top1Accuracy;
import com.intel.analytics.bigdl.dllib.optim.Trigger;
import com.intel.analytics.bigdl.dllib.optim.ValidationMethod;
import com.intel.analytics.bigdl.dllib.utils.Engine;
import com.intel.analytics.bigdl.dllib.utils.RandomGenerator;
import com.intel.analytics.bigdl.dllib.visualization.TrainSummary;
import com.intel.analytics.bigdl.dllib.visualization.ValidationSummary;
import java.io.IOException;
import java.util.Collections;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkContext;
import scala.collection.JavaConverters;

/**
 * Main class: trains one model by BigDL's DistriOptimizer, with a validation (Top1Accuracy) at each epoch's end. The seed is that of the first
 * weights; which records make a batch is drawn in the executors, where BigDL has no seed.
 */
@SuppressWarnings({"rawtypes", "unchecked"})
public final class Train {
  private Train() {}

  public static void main(String[] args) throws IOException {
    Options options;
    try {
      options = new Options(args);
    } catch (IllegalArgumentException e) {
      System.err.println("weft.bigdl.Train: " + e.getMessage() + "\n" + Options.USAGE);
      System.exit(2);
      return;
    }
    SparkConf conf =
        new SparkConf()
            .setAppName("weft " + options.model.word)
            .setIfMissing("spark.rpc.message.maxSize", "400") // a model in one message, where there is one executor
            .setIfMissing("spark.task.maxFailures", "1"); // as BigDL's own programs: it goes on from a checkpoint, not by another task
    SparkContext sc = new SparkContext(Engine.createSparkConf(conf));
    try {
      Engine.init();
      train(sc, options);
      Executors.tell(sc);
    } finally {
      sc.stop();
    }
  }

  private static void train(SparkContext sc, Options options) throws IOException {
    Model model = options.model;
    Folder folder = new Folder(options.data, sc.hadoopConfiguration());
    AbstractDataSet training = model.images.load(sc, folder, true, options.batch);
    AbstractDataSet validation = model.images.load(sc, folder, false, options.batch);
    RandomGenerator.RNG().setSeed(options.seed);
    AbstractModule module = model.build();
    System.out.println("PARAMETERS " + count(module));
    Optimizer optimizer =
        Optimizer$.MODULE$.apply(
            module, training, new ClassNLLCriterion(null, true, true, -1, Layers.FLOAT, Layers.NUMERIC), Layers.FLOAT, Layers.NUMERIC);
    optimizer.setOptimMethod(
        new SGD(
            options.learningRate, 0.0, model.weightDecay, model.momentum, 0.0, false, new SGD.Default(), null, null, Layers.FLOAT, Layers.NUMERIC));
    optimizer.setValidation(
        Trigger.everyEpoch(), validation, new ValidationMethod[] {new Top1Accuracy(Layers.FLOAT, Layers.NUMERIC)});
    optimizer.setEndWhen(options.iterations == 0 ? Trigger.maxEpoch(options.epochs) : either(options));
    if (options.checkpoint != null) {
      optimizer.setCheckpoint(options.checkpoint, Trigger.severalIteration(options.checkpointEvery));
      optimizer.overWriteCheckpoint();
    }
    if (options.summary != null) {
      optimizer.setTrainSummary(new TrainSummary(options.summary, model.word));
      optimizer.setValidationSummary(new ValidationSummary(options.summary, model.word));
    }
    optimizer.optimize();
  }

  private static Trigger either(Options options) {
    return Trigger.or(
        Trigger.maxEpoch(options.epochs),
        JavaConverters.asScalaBufferConverter(Collections.singletonList(Trigger.maxIteration(options.iterations))).asScala());
  }

  /** How many weights and biases are learnt: the parameter server sends two bytes for each. */
  private static int count(AbstractModule module) {
    return ((com.intel.analytics.bigdl.dllib.tensor.Tensor) module.getParameters()._1()).nElement();
  }
}
