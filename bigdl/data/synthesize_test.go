package data_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"weft/bigdl/data"
)

func synthesize(t *testing.T, f data.Format, n data.Size, seed uint64) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), string(f))
	if err := data.Synthesize(t.Context(), dir, f, n, seed); err != nil {
		t.Fatal(err)
	}
	return dir
}

// contents are the files of a folder by name.
func contents(t *testing.T, dir string) map[string]string {
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

func TestSynthesizeWritesThePublishedFiles(t *testing.T) {
	for f, sizes := range map[data.Format]map[string]int{
		data.CIFAR10: {
			"data_batch_1.bin": 10 * 3073, "data_batch_2.bin": 10 * 3073, "data_batch_3.bin": 11 * 3073, "data_batch_4.bin": 10 * 3073, "data_batch_5.bin": 11 * 3073,
			"test_batch.bin": 20 * 3073,
		},
		data.MNIST: {
			"train-images-idx3-ubyte": 16 + 52*784, "train-labels-idx1-ubyte": 8 + 52,
			"t10k-images-idx3-ubyte": 16 + 20*784, "t10k-labels-idx1-ubyte": 8 + 20,
		},
	} {
		files := contents(t, synthesize(t, f, data.Size{Train: 52, Test: 20}, 7))
		for name, size := range sizes {
			if len(files[name]) != size {
				t.Errorf("%s: %s has %d bytes, want %d", f, name, len(files[name]), size)
			}
			delete(files, name)
		}
		if len(files) > 0 {
			t.Errorf("%s: %d files beside", f, len(files))
		}
	}
}

func TestSynthesizeIsThatOfItsSeed(t *testing.T) {
	n := data.Size{Train: 20, Test: 10, Side: 16}
	for _, f := range []data.Format{data.CIFAR10, data.MNIST, data.ImageNet} {
		a, b, c := contents(t, synthesize(t, f, n, 7)), contents(t, synthesize(t, f, n, 7)), contents(t, synthesize(t, f, n, 8))
		for name := range a {
			if a[name] != b[name] {
				t.Errorf("%s: %s differs between two runs", f, name)
			}
			if a[name] == c[name] && len(a[name]) > 100 {
				t.Errorf("%s: %s does not depend on the seed", f, name)
			}
		}
	}
}

func TestSynthesizeOverwritesNothing(t *testing.T) {
	dir := synthesize(t, data.MNIST, data.Size{Train: 20, Test: 10}, 7)
	before := contents(t, dir)
	err := data.Synthesize(t.Context(), dir, data.MNIST, data.Size{Train: 30, Test: 10}, 9)
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("error %v, want one of an existing file", err)
	}
	after := contents(t, dir)
	if len(after) != len(before) || after["train-images-idx3-ubyte"] != before["train-images-idx3-ubyte"] {
		t.Error("the folder was changed")
	}
}
