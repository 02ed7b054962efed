//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// TestBenchTrain has `weft bench train` train VGG, stock and with weft. Its model and its results are of 60 MB, so that also results of tasks are
// fetched: nothing comes by Netty, and the driver is asked once for each of the other executor's blocks.
func TestBenchTrain(t *testing.T) {
	const iterations, weights = 6, 14_991_946
	out := filepath.Join(root, "build/e2e/bench-train")
	if err := os.RemoveAll(out); err != nil { // or there would be nothing to do
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(root, "build/weft"), "bench", "train", "--root", root, "--out", out, "--model", "vgg", "--batch", "8",
		"--iterations", "6", "--records", "80", "--test-records", "8")
	cmd.Stderr = os.Stderr
	table, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v (log: %s/hosts.log)\n%s", err, out, table)
	}
	t.Logf("%s", table)
	runs := readBenchRuns(t, out, 2)
	for _, r := range runs {
		if r.Failure != "" || len(r.Iterations) != iterations {
			t.Fatalf("%s: %d iterations, %s", r.Impl, len(r.Iterations), r.Failure)
		}
	}
	stock, weft := runs["stock"], runs["weft-tcp"]
	// Each executor reads a half of the weights, of 2 bytes, and of the gradients in each iteration; the model before, and the results after it, have 4 bytes.
	if least := int64(iterations * 2 * 2 * weights); weft.BytesWeft < least || weft.BytesNetty != 0 || weft.Fallbacks != 0 {
		t.Errorf("%d bytes by weft, of %d parameters alone; %d by Netty, %d blocks fell back", weft.BytesWeft, least, weft.BytesNetty, weft.Fallbacks)
	}
	if weft.DriverLookups != 4 || weft.CachedLookups < 4*(iterations-1) {
		t.Errorf("the driver was asked %d times for 4 blocks, %d times the executors knew", weft.DriverLookups, weft.CachedLookups)
	}
	if stock.BytesWeft != 0 || stock.CachedLookups != 0 {
		t.Errorf("stock: %+v", stock)
	}
}
