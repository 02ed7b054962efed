//go:build e2e

package data_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"weft/bigdl/data"
	"weft/bigdl/data/seqfile"
)

// startHDFS starts an HDFS for this test and gives its folder and location.
func startHDFS(t *testing.T) (dir, location string) {
	t.Helper()
	dir, err := filepath.Abs(root + "/build/e2e/hdfs")
	if err != nil {
		t.Fatal(err)
	}
	run(t, "scripts/hdfs", "down", "--dir", dir) // of a run that was killed
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { run(t, "scripts/hdfs", "down", "--dir", dir) })
	return dir, strings.TrimSpace(run(t, "scripts/hdfs", "up", "--dir", dir))
}

// files are the sizes and contents of all files of a folder.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, name))
		m[name] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Every format is written to HDFS and to a folder. Both hold the same; Hadoop's own client sees the same files; and what it puts there is
// verified as what is in a folder.
func TestHDFS(t *testing.T) {
	hdfs, location := startHDFS(t)
	local := t.TempDir()
	n := data.Size{Train: 50, Test: 20, Side: 64}
	for _, f := range []data.Format{data.CIFAR10, data.MNIST, data.ImageNet} {
		var reports []data.Report
		for _, where := range []string{local, location} {
			where += "/" + string(f)
			if err := data.Synthesize(t.Context(), where, f, n, 3); err != nil {
				t.Fatal(err)
			}
			r := verify(t, where)
			r.Location = ""
			reports = append(reports, r)
		}
		if !reflect.DeepEqual(reports[0], reports[1]) {
			t.Errorf("%s: in the folder %+v, in HDFS %+v", f, reports[0], reports[1])
		}
		if err := data.Synthesize(t.Context(), location+"/"+string(f), f, n, 4); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: written twice, with the error %v", f, err)
		}
	}
	s := data.SeqFiles{From: location + "/imagenet", To: location + "/seq", Codec: seqfile.Snappy, Side: 256, PerFile: 20}
	if err := data.WriteSeqFiles(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	check(t, "sequence files in HDFS", parseSeen(t, seqFiles(t, "3.5.9", "read", location+"/seq/train")[0]), verify(t, s.To).Parts[0])
	s.From, s.To = local+"/imagenet", local+"/seq"
	if err := data.WriteSeqFiles(t.Context(), s); err != nil {
		t.Fatal(err)
	}

	got := filepath.Join(t.TempDir(), "got")
	run(t, "scripts/hdfs", "dfs", "--dir", hdfs, "-get", "/", got)
	want, have := files(t, local), files(t, got)
	for name, content := range want {
		if have[name] != content {
			t.Errorf("%s: %d bytes in HDFS, %d in the folder, or others", name, len(have[name]), len(content))
		}
	}
	if len(have) != len(want) {
		t.Errorf("%d files in HDFS, %d in the folder", len(have), len(want))
	}

	t.Setenv("HADOOP_CONF_DIR", filepath.Join(hdfs, "conf"))
	if r := verify(t, "hdfs:///mnist"); r.Parts[0].Records != n.Train {
		t.Errorf("with the NameNode of the configuration: %+v", r)
	}

	if err := os.Truncate(filepath.Join(got, "cifar10/data_batch_3.bin"), 3073+100); err != nil {
		t.Fatal(err)
	}
	run(t, "scripts/hdfs", "dfs", "--dir", hdfs, "-put", filepath.Join(got, "cifar10"), "/damaged")
	_, err := data.Verify(t.Context(), location+"/damaged")
	if err == nil || !strings.Contains(err.Error(), "data_batch_3.bin: record 1, at byte 3073, has 100 bytes instead of 3073") {
		t.Errorf("a truncated file in HDFS gives: %v", err)
	}
	if _, err := data.Verify(t.Context(), location+"/nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that is not there gives: %v", err)
	}
}

func TestNoNameNode(t *testing.T) {
	_, err := data.Verify(t.Context(), "hdfs://127.0.0.1:1/mnist")
	if err == nil || !strings.Contains(err.Error(), "no answer from the NameNode 127.0.0.1:1") {
		t.Errorf("no NameNode gives: %v", err)
	}
}
