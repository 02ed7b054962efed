//go:build rdma

package e2e

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const (
	lenetBatch = 64
	lenetTrain = 40 * lenetBatch
	lenetTest  = 256
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
	writeMNIST(t, images, "train", lenetTrain, 1)
	writeMNIST(t, images, "t10k", lenetTest, 2)
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
		if trained != lenetTrain/lenetBatch || known < 0.95 {
			t.Errorf("%s: %d iterations, knows %.3f of the test images", a.name, trained, known)
		}
	}
	weft.checkEndedByWeft(t)
	weft.checkWarnings(t)
	for host, g := range weft.Guests {
		g.checkTransfers(t, host, transport, lenetBlock)
		// The peer's half of the parameters, and of the gradients of this half, in each iteration.
		if got, want := receivedBy(g.Status, transport).Blocks, int64(2*lenetTrain/lenetBatch); got < want {
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
	return append(args, home+"/dllib.jar", "-f", images, "-b", strconv.Itoa(lenetBatch), "-e", "1")
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
	accuracyLine  = regexp.MustCompile(`Top1Accuracy is Accuracy\(correct: (\d+), count: (\d+)`)
)

// accuracy is the share of the test images that the model knew at the end.
func (r *Run) accuracy(t *testing.T) float64 {
	t.Helper()
	m := accuracyLine.FindStringSubmatch(r.Driver)
	if m == nil {
		t.Fatalf("it was not tested; the driver's last lines:\n%s", tail(r.Driver, 40))
	}
	return float64(number(t, m[1])) / float64(number(t, m[2]))
}

// writeMNIST writes images and labels as MNIST's files are: each class has a pattern of 8x8 fields, with noise over it.
func writeMNIST(t *testing.T, dir, name string, count int, seed uint64) {
	t.Helper()
	const classes, side, fields = 10, 28, 8
	patterns := rand.New(rand.NewPCG(0, 0)) // of both sets
	var pattern [classes][fields * fields]float64
	for class := range pattern {
		for i := range pattern[class] {
			pattern[class][i] = 40 + 175*patterns.Float64()
		}
	}
	rng := rand.New(rand.NewPCG(seed, 0))
	images := binary.BigEndian.AppendUint32(nil, 0x803)
	for _, n := range []int{count, side, side} {
		images = binary.BigEndian.AppendUint32(images, uint32(n))
	}
	labels := binary.BigEndian.AppendUint32(nil, 0x801)
	labels = binary.BigEndian.AppendUint32(labels, uint32(count))
	for range count {
		class := rng.IntN(classes)
		labels = append(labels, byte(class))
		for y := range side {
			for x := range side {
				v := pattern[class][y*fields/side*fields+x*fields/side] + 40*rng.NormFloat64()
				images = append(images, byte(min(max(v, 0), 255)))
			}
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for file, content := range map[string][]byte{"images-idx3": images, "labels-idx1": labels} {
		if err := os.WriteFile(filepath.Join(dir, name+"-"+file+"-ubyte"), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
