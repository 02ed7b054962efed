//go:build rdma

package e2e

import (
	"fmt"
	"os/exec"
	"path/filepath"
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

// TestGuestsTrain has `weft bench train` train BigDL's LeNet on two hosts with soft-RoCE, as on any cluster. By weft it learns what it learns on stock
// Spark; nothing goes another way, and parameters and gradients, which executors rewrite in place, come by WEFT_TEST_SPARK_TRANSPORT. Times over
// soft-RoCE are compared with nothing.
func TestGuestsTrain(t *testing.T) {
	transport, _ := guestsTransport(t)
	if out, err := exec.Command("make", "-C", root, "bigdl").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c := newCluster("guests-train", "3.5.9", 2)
	c.prepareInGuests(t)
	images, out := filepath.Join(c.dir, "mnist"), filepath.Join(c.dir, "out")
	writeMNIST(t, images, "train", guestTrain)
	writeMNIST(t, images, "t10k", guestTest)
	bench := c.inGuestProgram(t, "train", filepath.Join(root, "build/weft"), "bench", "train", "--root", root, "--out", out, "--master", "spark://h0:7077",
		"--spark-home", filepath.Join(c.dir, "spark"), "--impl", "stock,weft-"+transport, "--data", images, "--batch", strconv.Itoa(guestBatch), "--memory", "640m",
		"--conf", fmt.Sprintf("spark.weft.fetch.eager.block=%d,spark.executor.extraJavaOptions=-Dweft.upcall.inline=%d", lenetBlock, lenetBlock),
		// It is asked what it did when its executors have ended, where `weft status` looks for it.
		"--conf", "spark.weft.daemon.grace=1h,spark.weft.socket.dir=/tmp/weft-0")
	c.runGuests(t, "1600M", bench)

	runs := readBenchRuns(t, out, 2)
	for _, r := range runs {
		if r.Failure != "" || len(r.Epochs) != 1 || r.Epochs[0].Accuracy == nil {
			t.Fatalf("%s was not tested: %s", r.Impl, r.Failure)
		}
		known := *r.Epochs[0].Accuracy
		t.Logf("%s: %d iterations, knows %.3f of the test images", r.Impl, len(r.Iterations), known)
		if len(r.Iterations) != guestTrain/guestBatch || known < 0.95 {
			t.Errorf("%s: %d iterations, knows %.3f of the test images", r.Impl, len(r.Iterations), known)
		}
	}
	checkTold(t, runs["weft-"+transport], transport, bench.stdout.String())

	log := readOne(t, filepath.Join(out, "logs", "*weft-"+transport+"*", "driver.log"))
	m := connectedLine.FindStringSubmatch(log)
	if m == nil {
		t.Fatalf("the driver does not say what its application is:\n%s", tail(log, 40))
	}
	weft := &Run{cluster: c, App: m[1], Driver: log}
	weft.checkNothingByNetty(t)
	weft.checkWarnings(t)
	for host, g := range bench.Guests {
		g.checkTransfers(t, host, transport, lenetBlock)
		// The peer's half of the parameters, and of the gradients of this half, in each iteration.
		if got, want := receivedBy(g.Status, transport).Blocks, int64(2*guestTrain/guestBatch); got < want {
			t.Errorf("%s received %d blocks by %s, less than its %d of parameters and gradients", host, got, transport, want)
		}
	}
	for _, block := range []string{"test_0weightBytes0", "test_0weightBytes1", "test_0_0gradientBytes1", "test_0_1gradientBytes0"} {
		if !strings.Contains(log, "Added "+block+" in memory on h") {
			t.Errorf("no executor had %s", block)
		}
	}
}

// checkTold checks what the harness tells of the run with weft: by what its blocks came, and no ratio where that was soft-RoCE.
func checkTold(t *testing.T, r benchRun, transport, table string) {
	t.Helper()
	t.Logf("%s", table)
	if r.BytesNetty != 0 || r.Fallbacks != 0 {
		t.Errorf("some blocks went by Netty: %+v", r)
	}
	const parameters = 2 * 2 * 22_278 * guestTrain / guestBatch // and gradients, 2 bytes each
	device, least := "none", int64(0)
	if transport == "rdma" {
		device, least = "rxe0 (software)", parameters
	}
	if r.Device != device || r.BytesRDMA < least || least == 0 && r.BytesRDMA != 0 {
		t.Errorf("%d bytes came by RDMA, of %d by weft; the device was %s, not %s", r.BytesRDMA, r.BytesWeft, r.Device, device)
	}
	if compared := strings.Contains(table, "(one pair)"); compared != (transport == "tcp") || !compared && !strings.Contains(table, "the device is soft-RoCE") {
		t.Errorf("ratios by %s:\n%s", transport, table)
	}
}
