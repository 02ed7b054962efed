//go:build e2e

package data_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"weft/bench/result"
	"weft/bigdl/data"
)

// TestTrainFromHDFS trains LeNet on what lies in HDFS, once more after other data have taken its place, and not at all where it is damaged.
func TestTrainFromHDFS(t *testing.T) {
	hdfs, location := startHDFS(t)
	out, err := filepath.Abs(root + "/build/e2e/train-from-hdfs")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(out); err != nil { // or there would be nothing to do
		t.Fatal(err)
	}
	location += "/mnist"
	train := func(seed string) (string, error) {
		cmd := exec.CommandContext(t.Context(), filepath.Join(root, "build/weft"), "bench", "train", "--root", root, "--out", out, "--data", location,
			"--model", "lenet", "--impl", "weft-tcp", "--iterations", "2", "--seed", seed)
		said, err := cmd.CombinedOutput()
		return string(said), err
	}

	size := data.Size{Train: 128, Test: 64} // an epoch of two iterations
	for i, seed := range []string{"1", "2"} {
		if err := data.Synthesize(t.Context(), location, data.MNIST, size, uint64(i)); err != nil {
			t.Fatal(err)
		}
		said, err := train(seed)
		if err != nil {
			t.Fatalf("%v\n%s", err, said)
		}
		runs, err := result.LoadAll(out)
		if err != nil || len(runs) != i+1 {
			t.Fatalf("%d runs, %v\n%s", len(runs), err, said)
		}
		for _, r := range runs {
			if r.Failure != "" || len(r.Iterations) != 2 || r.Accuracy() == nil || !strings.HasSuffix(r.Data, " in "+location) || r.BytesWeft == 0 || r.Fallbacks != 0 {
				t.Errorf("%+v: %q, %d iterations, epochs %+v, %d bytes by weft, %d blocks fell back", r.Config, r.Failure, len(r.Iterations), r.Epochs, r.BytesWeft, r.Fallbacks)
			}
		}
		copies, err := filepath.Glob(filepath.Join(out, "data", "hdfs-*"))
		if err != nil || len(copies) != i+1 {
			t.Fatalf("copies: %q, %v", copies, err)
		}
		found := false
		for _, c := range copies {
			found = found || verify(t, c).Parts[0].Digest == verify(t, location).Parts[0].Digest
		}
		if !found {
			t.Errorf("seed %s: no copy has what lies in HDFS", seed)
		}
		run(t, "scripts/hdfs", "dfs", "--dir", hdfs, "-rm", "-r", "-skipTrash", "/mnist")
	}

	local := filepath.Join(t.TempDir(), "mnist")
	if err := data.Synthesize(t.Context(), local, data.MNIST, size, 3); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(filepath.Join(local, "train-images-idx3-ubyte"), 1000); err != nil {
		t.Fatal(err)
	}
	run(t, "scripts/hdfs", "dfs", "--dir", hdfs, "-put", local, "/mnist")
	if said, err := train("3"); err == nil || !strings.Contains(said, "train-images-idx3-ubyte") {
		t.Errorf("with a file that was cut: %v\n%s", err, said)
	}
}
