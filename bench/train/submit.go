package train

import (
	"cmp"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"weft/bench/result"
	"weft/bigdl"
)

// conf are Spark's keys for a row: those of BigDL, of weft where it takes part, and over them the user's.
func (c Config) conf(row result.Config) map[string]string {
	conf := bigdl.Conf(row.Executors, row.Cores)
	conf["spark.executor.memory"], conf["spark.driver.memory"] = c.Memory, c.Memory
	build := filepath.Join(c.Root, "build")
	conf["spark.driver.extraClassPath"] = c.classPath(row, build)
	conf["spark.executor.extraClassPath"] = c.classPath(row, cmp.Or(c.NodeBuild, build))
	if row.Impl != Stock {
		conf["spark.shuffle.manager"] = "org.apache.spark.shuffle.weft.WeftShuffleManager"
		conf["spark.weft.rdma.device"] = device[row.Impl]
	}
	if c.Table.Master != "" {
		conf["spark.master"] = c.Table.Master
		conf["spark.eventLog.enabled"], conf["spark.eventLog.dir"] = "true", "file:"+c.clusterEvents()
		conf["spark.eventLog.compress"], conf["spark.eventLog.rolling.enabled"] = "false", "false"
		if row.Impl != Stock {
			maps.Copy(conf, daemonConf(row.Impl))
		}
	}
	maps.Copy(conf, c.Conf)
	return conf
}

// classPath is that of JVMs on a host with such a build folder.
func (c Config) classPath(row result.Config, build string) string {
	path := bigdl.ClassPath(c.logs(row), filepath.Join(build, "bigdl"), row.Spark)
	if row.Impl != Stock {
		path = append(path, filepath.Join(build, "weft-spark.jar"))
	}
	return strings.Join(append(path, filepath.Join(build, "weft-bigdl.jar")), ":")
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
