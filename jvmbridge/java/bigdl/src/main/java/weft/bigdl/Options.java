package weft.bigdl;

/** The command line of {@link Train}. */
final class Options {
  static final String USAGE =
      "Options: --model softmax|lenet|cifar10-quick|vgg|alexnet|inception-v1  --data FOLDER (of any Hadoop file system)\n"
          + "  --batch N        records of an iteration, of all executors (64)\n"
          + "  --epochs N       the run ends after them (1),\n"
          + "  --iterations N   or after so many iterations, whichever comes first (0: by epochs alone)\n"
          + "  --seed N         of the first weights (1)\n"
          + "  --learning-rate X (the model's own)\n"
          + "  --checkpoint FOLDER  --checkpoint-every ITERATIONS (10)\n"
          + "  --summary FOLDER  for TensorBoard";

  Model model;
  String data;
  int batch = 64;
  int epochs = 1;
  int iterations;
  long seed = 1;
  double learningRate;
  String checkpoint;
  int checkpointEvery = 10;
  String summary;

  Options(String[] args) {
    for (int i = 0; i < args.length; i += 2) {
      if (i + 1 == args.length) {
        throw new IllegalArgumentException(args[i] + " needs a value");
      }
      set(args[i], args[i + 1]);
    }
    if (model == null || data == null) {
      throw new IllegalArgumentException("--model and --data are needed");
    }
    if (batch < 1 || epochs < 1 || iterations < 0 || checkpointEvery < 1) {
      throw new IllegalArgumentException("--batch, --epochs and --checkpoint-every are at least 1, --iterations at least 0");
    }
    if (learningRate == 0) {
      learningRate = model.learningRate;
    }
  }

  private void set(String option, String value) {
    switch (option) {
      case "--model":
        model = Model.of(value);
        break;
      case "--data":
        data = value;
        break;
      case "--batch":
        batch = Integer.parseInt(value);
        break;
      case "--epochs":
        epochs = Integer.parseInt(value);
        break;
      case "--iterations":
        iterations = Integer.parseInt(value);
        break;
      case "--seed":
        seed = Long.parseLong(value);
        break;
      case "--learning-rate":
        learningRate = Double.parseDouble(value);
        break;
      case "--checkpoint":
        checkpoint = value;
        break;
      case "--checkpoint-every":
        checkpointEvery = Integer.parseInt(value);
        break;
      case "--summary":
        summary = value;
        break;
      default:
        throw new IllegalArgumentException("unknown option " + option);
    }
  }
}
