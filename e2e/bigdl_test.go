//go:build e2e

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What BigDL's LeNet is trained with: an epoch has 20 iterations, and each executor reads one block of weights and one of gradients
// of each other one in each.
const (
	lenetBatch  = 48 // two and three executors divide it
	lenetTrain  = 960
	lenetTest   = 512
	lenetEpochs = 3
	iterations  = lenetEpochs * lenetTrain / lenetBatch
)

var (
	accuracyLine = regexp.MustCompile(fmt.Sprintf(`Epoch %d .*Top1Accuracy is Accuracy\(correct: (\d+), count: %d,`, lenetEpochs, lenetTest))
	// inSecondEpoch comes after the first checkpoint.
	inSecondEpoch   = regexp.MustCompile(`\[Iteration 25\].*Trained`)
	taskStartedLine = regexp.MustCompile(`Starting task \S+ in stage \S+ \(TID (\d+)\) \((\w+), executor`)
	retriedLine     = regexp.MustCompile(`Retrying \d+ times`)
)

// TestBigDL trains LeNet by BigDL's own program, unchanged, on data that it learns to the last image in any run without faults.
func TestBigDL(t *testing.T) {
	t.Run("3.1.3", func(t *testing.T) { testLeNet(t, bigdlCluster(t, "3.1.3")) })
	t.Run("3.1.3/executor killed", testLeNetKilled)
	t.Run("3.5.9", func(t *testing.T) { testLeNet(t, bigdlCluster(t, "3.5.9")) })
}

// testLeNet has all parameter blocks, broadcasts and results come by weft, and the driver asked once for each of the other executor's
// parameter blocks.
func testLeNet(t *testing.T, c *Cluster) {
	r := c.startLeNet(t, c.WithWeft(), 2)
	r.waitLeNet(t)
	if r.err != nil {
		t.Fatalf("BigDL ended with %v:\n%s", r.err, tail(r.Driver, 40))
	}
	r.checkLearnt(t, lenetTest)
	r.checkAllByWeft(t)
	r.checkWarnings(t)
	for _, s := range r.summaries(t) {
		t.Logf("%+v", s)
		if s.Executor == "driver" {
			continue
		}
		if s.LookupsDriver != 2 {
			t.Errorf("executor %s asked the driver %d times for 2 parameter blocks", s.Executor, s.LookupsDriver)
		}
		reads := s.LookupsDriver + s.LookupsCached
		if reads < 2*iterations || s.WeftBlocks < reads {
			t.Errorf("executor %s read %d parameter blocks in %d iterations, and %d blocks by weft", s.Executor, reads, iterations, s.WeftBlocks)
		}
	}
	c.AwaitIdle(t, 30*time.Second)
}

// testLeNetKilled kills one of three executors in mid-training. With a checkpoint BigDL lays out its parameters anew, under the same names:
// those of the killed executor come to another one. Without a checkpoint it gives up. With weft as with stock Spark.
func testLeNetKilled(t *testing.T) {
	c := bigdlCluster(t, "3.1.3")
	for _, conf := range []Conf{c.WithWeft().With(shortGrace), Stock} {
		weft := conf["spark.shuffle.manager"] != ""
		t.Run(map[bool]string{true: "weft", false: "stock"}[weft], func(t *testing.T) {
			checkpoints, err := os.MkdirTemp(c.dir, "checkpoints-")
			if err != nil {
				t.Fatal(err)
			}
			r := c.killDuring(t, conf, "--checkpoint", checkpoints)
			if retries := retriedLine.FindAllString(r.Driver, -1); r.err != nil || len(retries) != 1 {
				t.Fatalf("BigDL did not recover by one retry: %v %v\n%s", retries, r.err, tail(r.Driver, 60))
			}
			r.checkLearnt(t, lenetTest*9/10) // some iterations less
			if weft {
				r.checkMoved(t)
			}
			c.AwaitIdle(t, 30*time.Second)

			r = c.killDuring(t, conf)
			if r.err == nil || retriedLine.MatchString(r.Driver) {
				t.Errorf("BigDL went on without a checkpoint: %v\n%s", r.err, tail(r.Driver, 20))
			}
			c.AwaitIdle(t, 30*time.Second)
		})
	}
}

// killDuring kills the executor on Host1 while it has a task, and returns the run when it has ended. One that is killed between two tasks BigDL at
// times goes on without: no task fails, and what it had is computed anew where its next task runs.
func (c *Cluster) killDuring(t *testing.T, conf Conf, args ...string) *Run {
	t.Helper()
	r := c.startLeNet(t, conf, 3, args...)
	r.awaitLine(t, inSecondEpoch)
	for !r.stopInTask(t, Host1) {
		time.Sleep(50 * time.Millisecond)
	}
	c.Signal(t, Host1, "executor", syscall.SIGKILL)
	r.waitLeNet(t)
	return r
}

// stopInTask stops the host's executor and tells whether the driver then waits for a task on it: what the driver was told before the stop has come when
// two looks are the same. Without a task the executor goes on again: where the tasks of the others read blocks of it, they end no sooner, and nothing
// else is started.
func (r *Run) stopInTask(t *testing.T, host string) bool {
	t.Helper()
	r.cluster.Signal(t, host, "executor", syscall.SIGSTOP)
	before := ""
	for range 6 {
		select {
		case <-r.ended:
			t.Fatalf("BigDL ended without a task on %s: %v\n%s", host, r.err, tail(r.stderr.String(), 40))
		case <-time.After(500 * time.Millisecond):
		}
		running := r.runningTask(host)
		if running != "" && running == before {
			return true
		}
		before = running
	}
	r.cluster.Signal(t, host, "executor", syscall.SIGCONT)
	return false
}

// runningTask returns the id of the last task that the driver started on the host and has not seen end, or "".
func (r *Run) runningTask(host string) (running string) {
	text := r.stderr.String()
	for _, m := range taskStartedLine.FindAllStringSubmatch(text, -1) {
		if m[2] == host && !strings.Contains(text, fmt.Sprintf("(TID %s) in ", m[1])) {
			running = m[1]
		}
	}
	return running
}

// checkMoved checks that the executors that lived on went on to read parameters by weft, and that each asked the driver when it had reason
// to: for the 4 blocks of the others at first, for what it missed of the killed executor, and for what was laid out anew.
func (r *Run) checkMoved(t *testing.T) {
	t.Helper()
	lived, asked := 0, int64(0)
	for _, s := range r.Summaries(t) {
		t.Logf("%+v", s)
		if s.Leases != 0 || s.Leaks != 0 {
			t.Errorf("leases were not given back: %+v", s)
		}
		if s.Executor == "driver" || s.LookupsDriver == 0 { // or one that came late and got no part of the work
			continue
		}
		lived++
		asked += s.LookupsDriver
		reads := s.LookupsDriver + s.LookupsCached
		if s.LookupsDriver > 16 || s.LookupsCached < iterations || s.WeftBlocks < reads-8 {
			t.Errorf("executor %s: %+v", s.Executor, s)
		}
	}
	if lived < 2 || asked <= 8 {
		t.Errorf("%d executors read parameters, and asked the driver %d times", lived, asked)
	}
}

// checkLearnt checks that so many of the test's images are recognised in the end.
func (r *Run) checkLearnt(t *testing.T, enough int64) {
	t.Helper()
	m := accuracyLine.FindStringSubmatch(r.Driver)
	if m == nil {
		t.Fatalf("BigDL tells no accuracy of epoch %d:\n%s", lenetEpochs, tail(r.Driver, 20))
	}
	t.Logf("LeNet recognises %s of %d images", m[1], lenetTest)
	if number(t, m[1]) < enough {
		t.Errorf("LeNet did not learn: %d images would be enough", enough)
	}
}

// bigdlCluster has one core on each host, and BigDL's jars, data and logging in its directory.
func bigdlCluster(t *testing.T, version string) *Cluster {
	t.Helper()
	c := cluster(t, version, 3, "--cores", "1")
	dir := c.bigdlDir()
	if _, err := os.Stat(dir); err == nil {
		return c
	}
	if out, err := exec.Command(filepath.Join(root, "scripts/bigdl")).CombinedOutput(); err != nil {
		t.Fatalf("scripts/bigdl: %v\n%s", err, out)
	}
	for _, name := range []string{"mnist", "logging"} {
		if err := os.MkdirAll(filepath.Join(dir, name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	writeMNIST(t, filepath.Join(dir, "mnist"), "train", lenetTrain)
	writeMNIST(t, filepath.Join(dir, "mnist"), "t10k", lenetTest)
	for name, text := range bigdlLogging {
		if err := os.WriteFile(filepath.Join(dir, "logging", name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

func (c *Cluster) bigdlDir() string { return filepath.Join(c.dir, "bigdl") }

// bigdlLogging has all be logged as Spark does by itself. BigDL's jar holds files of these names that would not. Spark 3.1 logs by log4j,
// BigDL and Spark 3.5 by log4j2.
var bigdlLogging = map[string]string{
	"log4j.properties": `log4j.rootCategory=INFO, console
log4j.appender.console=org.apache.log4j.ConsoleAppender
log4j.appender.console.target=System.err
log4j.appender.console.layout=org.apache.log4j.PatternLayout
log4j.appender.console.layout.ConversionPattern=%d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n
`,
	"log4j2-test.xml": `<Configuration>
  <Appenders><Console name="c" target="SYSTEM_ERR"><PatternLayout pattern="%d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n"/></Console></Appenders>
  <Loggers><Root level="info"><AppenderRef ref="c"/></Root></Loggers>
</Configuration>
`,
}

// startLeNet is BigDL's own main program with these keys beside those that BigDL wants, and more of its arguments.
func (c *Cluster) startLeNet(t *testing.T, conf Conf, executors int, args ...string) *Run {
	t.Helper()
	jars := filepath.Join(root, "build/bigdl")
	path := []string{filepath.Join(c.bigdlDir(), "logging"), filepath.Join(jars, "dllib.jar"), filepath.Join(jars, "core.jar"), filepath.Join(jars, "mllib-"+c.Spark, "*")}
	if conf["spark.shuffle.manager"] != "" {
		path = append(path, c.WeftJar())
	}
	conf = conf.With(Conf{
		"spark.driver.extraClassPath":   strings.Join(path, ":"),
		"spark.executor.extraClassPath": strings.Join(path, ":"),
		"spark.driver.extraJavaOptions": "-Dbigdl.utils.LoggerFilter.disable=true",
		"spark.executor.cores":          "1",
		"spark.cores.max":               fmt.Sprint(executors),
		"spark.serializer":              "org.apache.spark.serializer.JavaSerializer",
		"spark.locality.wait":           "10s", // its models stay where they are
		"spark.speculation":             "false",
		"spark.executor.memory":         "1500m",
	})
	arguments := slices.Concat([]string{"--class", "com.intel.analytics.bigdl.dllib.models.lenet.Train"}, conf.flags(),
		[]string{filepath.Join(jars, "dllib.jar"), "-f", filepath.Join(c.bigdlDir(), "mnist"), "-b", fmt.Sprint(lenetBatch), "-e", fmt.Sprint(lenetEpochs)}, args)
	return c.launch(t, "", arguments)
}

// waitLeNet is Wait for a program that does not print its id and may fail.
func (r *Run) waitLeNet(t *testing.T) {
	t.Helper()
	<-r.ended
	r.Driver = r.stdout.String() + r.stderr.String()
	m := connectedLine.FindStringSubmatch(r.Driver)
	if m == nil {
		t.Fatalf("no application came to be: %v\n%s", r.err, tail(r.Driver, 40))
	}
	r.App = m[1]
}

// awaitLine waits until the driver has logged such a line.
func (r *Run) awaitLine(t *testing.T, line *regexp.Regexp) {
	t.Helper()
	for !line.MatchString(r.stderr.String()) {
		select {
		case <-r.ended:
			t.Fatalf("BigDL ended before it logged %q: %v\n%s", line, r.err, tail(r.stderr.String(), 40))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
