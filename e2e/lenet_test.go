//go:build rdma

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	guestBatch = 64
	guestTrain = 40 * guestBatch
	guestTest  = 256
	// lenetBlock is less than a parameter block of LeNet on two executors: 2 bytes for each of 22,278 parameters, halved. By default blocks as small come in
	// messages.
	lenetBlock = 16 << 10
)

// TestGuestsTrain trains BigDL's LeNet, as published, on two hosts with soft-RoCE. By weft it learns what it learns on stock Spark; nothing goes another
// way, and parameters and gradients, which executors rewrite in place, come by WEFT_TEST_SPARK_TRANSPORT.
func TestGuestsTrain(t *testing.T) {
	transport, device := guestsTransport(t)
	if out, err := exec.Command(filepath.Join(root, "scripts/bigdl")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c := newCluster("guests-train", "3.5.9", 2)
	c.prepareInGuests(t)
	images := filepath.Join(c.dir, "mnist")
	writeMNIST(t, images, "train", guestTrain)
	writeMNIST(t, images, "t10k", guestTest)
	c.logAsSpark(t)
	stock := c.inGuest(t, "1-stock", c.trainLeNet(images, Conf{}, "")...)
	weft := c.inGuest(t, "2-weft", c.trainLeNet(images, Conf{
		"spark.shuffle.manager":        shuffleManager,
		"spark.weft.rdma.device":       device,
		"spark.weft.fetch.eager.block": strconv.Itoa(lenetBlock),
		"spark.weft.daemon.grace":      "1h",
	}, "-Dweft.upcall.inline="+strconv.Itoa(lenetBlock))...)
	c.runGuests(t, "1600M", stock, weft)

	for _, a := range []*guestApp{stock, weft} {
		trained, known := len(iterationLine.FindAllString(a.Driver, -1)), a.accuracy(t)
		t.Logf("%s: %d iterations, knows %.3f of the test images", a.name, trained, known)
		if trained != guestTrain/guestBatch || known < 0.95 {
			t.Errorf("%s: %d iterations, knows %.3f of the test images", a.name, trained, known)
		}
	}
	weft.checkEndedByWeft(t)
	weft.checkWarnings(t)
	for host, g := range weft.Guests {
		g.checkTransfers(t, host, transport, lenetBlock)
		// The peer's half of the parameters, and of the gradients of this half, in each iteration.
		if got, want := receivedBy(g.Status, transport).Blocks, int64(2*guestTrain/guestBatch); got < want {
			t.Errorf("%s received %d blocks by %s, less than its %d of parameters and gradients", host, got, transport, want)
		}
	}
	for _, block := range []string{"test_0weightBytes0", "test_0weightBytes1", "test_0_0gradientBytes1", "test_0_1gradientBytes0"} {
		if !strings.Contains(weft.Driver, "Added "+block+" in memory on h") {
			t.Errorf("no executor had %s", block)
		}
	}
}

// trainLeNet are the arguments of spark-submit, with more keys and options of executors.
func (c *Cluster) trainLeNet(images string, more Conf, options string) []string {
	home := filepath.Join(root, "build/bigdl")
	jars := strings.Join([]string{c.WeftJar(), home + "/dllib.jar", home + "/core.jar", home + "/mllib-" + c.Spark + "/*"}, ":")
	log := "-Dlog4j2.configurationFile=file:" + filepath.Join(c.dir, "conf/log4j2.properties")
	args := append([]string{"--class", "com.intel.analytics.bigdl.dllib.models.lenet.Train"}, Conf{
		"spark.cores.max":                 "2",
		"spark.executor.cores":            "1",
		"spark.driver.memory":             "512m",
		"spark.executor.memory":           "640m",
		"spark.driver.extraClassPath":     jars,
		"spark.executor.extraClassPath":   jars,
		"spark.driver.extraJavaOptions":   log + " -Dbigdl.utils.LoggerFilter.disable=true -Dbigdl.coreNumber=2",
		"spark.executor.extraJavaOptions": log + " " + options,
		"spark.serializer":                "org.apache.spark.serializer.JavaSerializer", // BigDL asks for it
	}.With(more).flags()...)
	return append(args, home+"/dllib.jar", "-f", images, "-b", strconv.Itoa(guestBatch), "-e", "1")
}

// logAsSpark writes a configuration to log as Spark does by default: BigDL's jar has one of its own.
func (c *Cluster) logAsSpark(t *testing.T) {
	t.Helper()
	dir := filepath.Join(c.dir, "conf")
	text := "rootLogger.level = info\nrootLogger.appenderRef.stderr.ref = stderr\nappender.stderr.type = Console\nappender.stderr.name = stderr\n" +
		"appender.stderr.target = SYSTEM_ERR\nappender.stderr.layout.type = PatternLayout\n" +
		"appender.stderr.layout.pattern = %d{yy/MM/dd HH:mm:ss} %p %c{1}: %m%n%ex\n"
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "log4j2.properties"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

var (
	iterationLine = regexp.MustCompile(`\[Iteration \d+\]\[Wall Clock .*\] Trained `)
	top1Line      = regexp.MustCompile(`Top1Accuracy is Accuracy\(correct: (\d+), count: (\d+)`)
)

// accuracy is the share of the test images that the model knew at the end.
func (r *Run) accuracy(t *testing.T) float64 {
	t.Helper()
	m := top1Line.FindStringSubmatch(r.Driver)
	if m == nil {
		t.Fatalf("it was not tested; the driver's last lines:\n%s", tail(r.Driver, 40))
	}
	return float64(number(t, m[1])) / float64(number(t, m[2]))
}
