package train

import (
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"weft/bench/result"
	"weft/bigdl"
)

// conf are Spark's keys for a row: those of BigDL, of weft where it takes part, and over them the user's.
func (c Config) conf(row result.Config) map[string]string {
	path := bigdl.ClassPath(c.logs(row), filepath.Join(c.Root, "build/bigdl"), row.Spark)
	conf := bigdl.Conf(row.Executors, row.Cores)
	conf["spark.executor.memory"], conf["spark.driver.memory"] = c.Memory, c.Memory
	if row.Impl != Stock {
		path = append(path, filepath.Join(c.Root, "build/weft-spark.jar"))
		conf["spark.shuffle.manager"] = "org.apache.spark.shuffle.weft.WeftShuffleManager"
		conf["spark.weft.rdma.device"] = "none"
	}
	path = append(path, filepath.Join(c.Root, "build/weft-bigdl.jar"))
	conf["spark.driver.extraClassPath"] = strings.Join(path, ":")
	conf["spark.executor.extraClassPath"] = conf["spark.driver.extraClassPath"]
	maps.Copy(conf, c.Conf)
	return conf
}

// submitArgs are those of spark-submit.
func (c Config) submitArgs(row result.Config, conf map[string]string, folder, logs string) []string {
	options := bigdl.DriverOptions(logs, filepath.Join(logs, "bigdl.log"))
	args := []string{"--class", bigdl.Main, "--driver-java-options", options}
	for _, key := range slices.Sorted(maps.Keys(conf)) {
		args = append(args, "--conf", key+"="+conf[key])
	}
	args = append(args, filepath.Join(c.Root, "build/weft-bigdl.jar"))
	return append(args, bigdl.Training{
		Model: row.Model, Data: folder, Batch: row.Batch, Epochs: row.Epochs, Iterations: row.Iterations, Seed: row.Seed,
	}.Arguments()...)
}
