package sample

import (
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
)

// Spark's processes are told apart by the class they run, and a shell whose arguments name such a class is none of them.
func TestProcessesOfAMachine(t *testing.T) {
	root := fstest.MapFS{"proc/meminfo": {}, "proc/7/stat": {}}
	for pid, line := range map[string]string{
		"1":  "/sbin/init",
		"10": "/opt/jdk/bin/java -cp x -Xmx1g org.apache.spark.deploy.master.Master -h h0",
		"11": "/opt/jdk/bin/java org.apache.spark.deploy.worker.Worker",
		"12": "java -XX:+UseSerialGC org.apache.spark.executor.CoarseGrainedExecutorBackend --app-id app-1",
		"13": "/opt/jdk/bin/java org.apache.spark.deploy.SparkSubmit --class weft.bigdl.Train",
		"14": "/tmp/weft-0/weft daemon --socket-dir /tmp/weft-0",
		"15": "/usr/bin/weft bench train",
		"16": "bash -c org.apache.spark.deploy.SparkSubmit",
		"17": "java -jar editor.jar",
		"18": "",
	} {
		root["proc/"+pid+"/cmdline"] = &fstest.MapFile{Data: []byte(strings.ReplaceAll(line, " ", "\x00") + "\x00")}
	}
	want := []Process{{"n1", 10, "master"}, {"n1", 11, "worker"}, {"n1", 12, "executor"}, {"n1", 13, "driver"}, {"n1", 14, "weft"}}
	if ps, err := machineProcesses(root, "n1"); err != nil || !reflect.DeepEqual(ps, want) {
		t.Errorf("%v, %v\nwant %v", ps, err, want)
	}
	if ps, err := machineProcesses(fstest.MapFS{}, "n1"); err == nil {
		t.Errorf("a machine without /proc: %v", ps)
	}
}
