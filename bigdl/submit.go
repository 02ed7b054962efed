package bigdl

import (
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Main trains any of the models; its jar is build/weft-bigdl.jar.
const Main = "weft.bigdl.Train"

// Training is one run of Main.
type Training struct {
	Model        string
	Data         string // folder, or hdfs://
	Batch        int    // records of an iteration, of all executors; a multiple of their cores
	Epochs       int
	Iterations   int // 0: by Epochs alone
	Seed         int64
	LearningRate float64 // 0: the model's own
	Checkpoint   string  // folder; "": none
}

// Arguments are those of Main.
func (t Training) Arguments() []string {
	args := []string{
		"--model", t.Model, "--data", t.Data, "--batch", strconv.Itoa(t.Batch), "--epochs", strconv.Itoa(t.Epochs),
		"--seed", strconv.FormatInt(t.Seed, 10),
	}
	if t.Iterations > 0 {
		args = append(args, "--iterations", strconv.Itoa(t.Iterations))
	}
	if t.LearningRate > 0 {
		args = append(args, "--learning-rate", strconv.FormatFloat(t.LearningRate, 'g', -1, 64))
	}
	if t.Checkpoint != "" {
		args = append(args, "--checkpoint", t.Checkpoint)
	}
	return args
}

// ClassPath are the entries that driver and executors need: the folder that WriteLogging filled, BigDL, its native core, and MLlib of that Spark.
// home is the folder that scripts/bigdl filled.
func ClassPath(logging, home, spark string) []string {
	return []string{logging, filepath.Join(home, "dllib.jar"), filepath.Join(home, "core.jar"), filepath.Join(home, "mllib-"+spark, "*")}
}

//go:embed logging
var logging embed.FS

// WriteLogging writes configurations of log4j and log4j2 to the folder dir: all goes to standard error, as Spark's by itself.
func WriteLogging(dir string) error {
	files, err := logging.ReadDir("logging")
	if err != nil {
		return err
	}
	for _, f := range files {
		b, err := logging.ReadFile("logging/" + f.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name()), b, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Conf are Spark's keys that BigDL wants, with executors of so many cores each. It trains in as many tasks as there are executors, which must all
// be there before the first and stay.
func Conf(executors, cores int) map[string]string {
	return map[string]string{
		"spark.executor.cores": strconv.Itoa(cores),
		"spark.cores.max":      strconv.Itoa(executors * cores),
		"spark.speculation":    "false",
		"spark.serializer":     "org.apache.spark.serializer.JavaSerializer", // what its own spark-bigdl.conf has

		"spark.shuffle.reduceLocality.enabled":              "false",
		"spark.scheduler.minRegisteredResourcesRatio":       "1.0",
		"spark.scheduler.maxRegisteredResourcesWaitingTime": "3600s",
	}
}

// DriverOptions are Java options of the driver: BigDL logs each iteration, with the times of its phases, into the file log. logging is the folder
// that WriteLogging filled.
func DriverOptions(logging, log string) string {
	return fmt.Sprintf("-Dbigdl.utils.LoggerFilter.disable=true -Dlog4j2.configurationFile=file:%s -Dweft.bigdl.log=%s", filepath.Join(logging, "driver.xml"), log)
}
