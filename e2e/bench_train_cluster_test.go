//go:build e2e

package e2e

import (
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestBenchTrainOnACluster has `weft bench train` train LeNet on a cluster that it did not make. What the driver was told of the executors' blocks
// is what they log themselves, which the harness does not see; and weft-rdma fails where no host has a device.
func TestBenchTrainOnACluster(t *testing.T) {
	const iterations, weights = 10, 22_278
	c, err := startCluster("bench-train-cluster", "3.5.9", 2, "--cores", "1", "--memory", "1g", "--quick")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.stop(); err != nil {
			t.Error(err)
		}
	})
	out := filepath.Join(c.dir, "out")
	cmd := c.command(t.Context(), "exec", Driver, filepath.Join(root, "build/weft"), "bench", "train", "--root", root, "--out", out, "--master", "spark://h0:7077",
		"--spark-home", filepath.Join(c.dir, "spark"), "--impl", "stock,weft-tcp,weft-rdma", "--iterations", "10", "--records", "640", "--test-records", "64",
		"--memory", "900m")
	var complaints strings.Builder
	cmd.Stderr = &complaints
	table, err := cmd.Output()
	t.Logf("%s\n%s", &complaints, table)
	if failed := (*exec.ExitError)(nil); err == nil || !errors.As(err, &failed) || !strings.Contains(complaints.String(), "1 of 3 runs failed") {
		t.Fatalf("without any device it ended with %v", err)
	}
	runs := readBenchRuns(t, out, 3)
	stock, weft, rdma := runs["stock"], runs["weft-tcp"], runs["weft-rdma"]
	for _, r := range []benchRun{stock, weft} {
		if r.Failure != "" || len(r.Iterations) != iterations || len(r.Epochs) != 1 || r.Epochs[0].Accuracy == nil {
			t.Fatalf("%s: %d iterations, %s", r.Impl, len(r.Iterations), r.Failure)
		}
		if r.Sampled != "h0" || r.Link != "as is, of spark://h0:7077" || !strings.Contains(r.Missing, "cpu_s") {
			t.Errorf("%+v", r)
		}
		for _, s := range r.Samples {
			if s.Host != "h0" && s.Host != "" {
				t.Fatalf("%s: a sample is of %s", r.Impl, s.Host)
			}
		}
	}
	if !strings.Contains(stock.Missing, "bytes_netty") || stock.BytesNetty != 0 || !strings.Contains(string(table), "  n/a  ") {
		t.Errorf("stock's traffic is on hosts that were not sampled: %+v", stock)
	}
	// Each executor reads a half of the weights, of 2 bytes, and of the gradients in each iteration.
	if least := int64(iterations * 2 * 2 * weights); weft.BytesWeft < least || weft.BytesNetty != 0 || weft.BytesRDMA != 0 || weft.Device != "none" {
		t.Errorf("%d bytes by weft, of %d parameters alone: %+v", weft.BytesWeft, least, weft)
	}
	if weft.DriverLookups != 4 || weft.CachedLookups < 4*(iterations-1) || weft.Fallbacks != 0 {
		t.Errorf("the driver was asked %d times for 4 blocks, %d times the executors knew; %d blocks fell back", weft.DriverLookups, weft.CachedLookups, weft.Fallbacks)
	}
	if !strings.Contains(rdma.Failure, "no block came by RDMA; the executors' daemons have as device: none") {
		t.Errorf("weft-rdma: %s", rdma.Failure)
	}

	log := readOne(t, filepath.Join(out, "logs", "*weft-tcp*", "driver.log"))
	m := connectedLine.FindStringSubmatch(log)
	if m == nil {
		t.Fatal("the driver does not say what its application is")
	}
	ran := &Run{cluster: c, App: m[1], Driver: log}
	all := ran.Summaries(t)
	sum := Total(all)
	if len(all) != 3 || sum.WeftBytes != weft.BytesWeft || sum.NettyBytes != weft.BytesNetty {
		t.Errorf("the JVMs log %+v; the harness has %d bytes by weft and %d by Netty", all, weft.BytesWeft, weft.BytesNetty)
	}
}
