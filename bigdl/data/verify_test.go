package data_test

import (
	"bytes"
	"compress/gzip"
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

func verify(t *testing.T, location string) data.Report {
	t.Helper()
	r, err := data.Verify(t.Context(), location)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// counts are the records of each class.
func counts(p data.Part) []int {
	var n []int
	for _, c := range p.Classes {
		n = append(n, c.Records)
	}
	return n
}

func TestVerifySaysWhatIsThere(t *testing.T) {
	for f, want := range map[data.Format]struct {
		parts, classes []string
		files          []int
	}{
		data.CIFAR10:  {[]string{"train", "test"}, []string{"0", "9"}, []int{5, 1}},
		data.MNIST:    {[]string{"train", "test"}, []string{"0", "9"}, []int{2, 2}},
		data.ImageNet: {[]string{"train", "val"}, []string{"n00000001", "n00000010"}, []int{30, 11}},
	} {
		dir := synthesize(t, f, data.Size{Train: 30, Test: 11, Side: 16}, 7)
		r := verify(t, dir)
		if r.Location != dir || r.Format != f || len(r.Parts) != 2 {
			t.Fatalf("%s: %+v", f, r)
		}
		for i, p := range r.Parts {
			n := []int{30, 11}[i]
			if p.Name != want.parts[i] || p.Records != n || p.Files != want.files[i] || len(p.Digest) != 64 || len(p.Classes) != 10 || p.Published <= p.Records {
				t.Errorf("%s: %+v", f, p)
			}
			if p.Classes[0].Class != want.classes[0] || p.Classes[9].Class != want.classes[1] {
				t.Errorf("%s: classes %v", f, p.Classes)
			}
			sum := 0
			for _, n := range counts(p) {
				sum += n
			}
			if sum != n {
				t.Errorf("%s: %d records in classes, %d in all", f, sum, n)
			}
		}
		if got := counts(r.Parts[0]); !reflect.DeepEqual(got, []int{3, 3, 3, 3, 3, 3, 3, 3, 3, 3}) {
			t.Errorf("%s: %v of each class", f, got)
		}
		if r.Parts[0].Digest == r.Parts[1].Digest || r.Parts[0].Digest == verify(t, synthesize(t, f, data.Size{Train: 30, Test: 11, Side: 16}, 8)).Parts[0].Digest {
			t.Errorf("%s: one digest for different records", f)
		}
	}
}

// The digest is that of the records, not of the files.
func TestDigestDoesNotDependOnPacking(t *testing.T) {
	dir := synthesize(t, data.MNIST, data.Size{Train: 20, Test: 10}, 7)
	want := verify(t, dir)
	for name, content := range contents(t, dir) {
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		if _, err := z.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		replace(t, dir, name+".gz", b.Bytes())
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	got := verify(t, dir)
	for i, p := range got.Parts {
		if p.Digest != want.Parts[i].Digest || !strings.Contains(p.Note, "gunzip") || want.Parts[i].Note != "" {
			t.Errorf("packed %+v, plain %+v", p, want.Parts[i])
		}
	}
	if err := os.Truncate(filepath.Join(dir, "t10k-images-idx3-ubyte.gz"), 1000); err != nil {
		t.Fatal(err)
	}
	if _, err := data.Verify(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "t10k-images-idx3-ubyte: ends in record") {
		t.Errorf("truncated by gzip: %v", err)
	}

	images := synthesize(t, data.ImageNet, data.Size{Train: 12, Test: 10, Side: 16}, 7)
	digests := map[string]bool{}
	for _, codec := range seqfile.Codecs {
		for _, perFile := range []int{5, 100} {
			to := filepath.Join(t.TempDir(), "seq")
			if err := data.WriteSeqFiles(t.Context(), data.SeqFiles{From: images, To: to, Codec: codec, PerFile: perFile}); err != nil {
				t.Fatal(err)
			}
			p := verify(t, to).Parts[0]
			digests[p.Digest] = true
			if p.Records != 12 || p.Files != (12+perFile-1)/perFile || p.Kind != "ImageNet, sequence files, codec "+string(codec) || p.Classes[9] != (data.Count{Class: "10", Records: counts(p)[9]}) {
				t.Errorf("%s, %d in a file: %+v", codec, perFile, p)
			}
		}
	}
	if len(digests) != 1 {
		t.Errorf("%d digests of the same records", len(digests))
	}
}

// replace puts other content into a file, or removes it where there is none.
func replace(t *testing.T, dir, name string, content []byte) {
	t.Helper()
	err := os.Remove(filepath.Join(dir, name))
	if content != nil {
		err = os.WriteFile(filepath.Join(dir, name), content, 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestVerifyNamesTheDamage(t *testing.T) {
	cut := func(name string, size int64) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Truncate(filepath.Join(dir, name), size); err != nil {
				t.Fatal(err)
			}
		}
	}
	change := func(name string, offset int64, b ...byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := f.WriteAt(b, offset); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
	remove := func(names ...string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			for _, name := range names {
				replace(t, dir, name, nil)
			}
		}
	}
	add := func(name string, content string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	const image = "val/n00000001/"
	for name, c := range map[string]struct {
		format data.Format
		damage func(*testing.T, string)
		want   string
	}{
		"missing batch":   {data.CIFAR10, remove("data_batch_2.bin", "data_batch_4.bin"), "missing: data_batch_2.bin, data_batch_4.bin; BigDL reads all of data_batch_1.bin,"},
		"missing test":    {data.CIFAR10, remove("test_batch.bin"), "missing: test_batch.bin;"},
		"empty batch":     {data.CIFAR10, cut("data_batch_5.bin", 0), "data_batch_5.bin: is empty"},
		"truncated batch": {data.CIFAR10, cut("data_batch_3.bin", 3072), "data_batch_3.bin: record 0, at byte 0, has 3072 bytes instead of 3073"},
		"label":           {data.CIFAR10, change("test_batch.bin", 3073, 77), "test_batch.bin: record 1, at byte 3073, has the label 77"},
		"missing labels":  {data.MNIST, remove("t10k-labels-idx1-ubyte"), "missing: t10k-labels-idx1-ubyte; BigDL reads the two files of each"},
		"magic":           {data.MNIST, change("train-labels-idx1-ubyte", 3, 9), "train-labels-idx1-ubyte: begins with the number 2057, and should with 2049"},
		"count":           {data.MNIST, change("t10k-images-idx3-ubyte", 7, 9), "t10k-images-idx3-ubyte has 9 images, but t10k-labels-idx1-ubyte has 10 labels"},
		"count above size": {data.MNIST, func(t *testing.T, dir string) {
			change("t10k-images-idx3-ubyte", 7, 11)(t, dir)
			change("t10k-labels-idx1-ubyte", 7, 11)(t, dir)
		}, "t10k-images-idx3-ubyte: ends in record 10, and its header says 11"},
		"no records": {data.MNIST, func(t *testing.T, dir string) {
			cut("t10k-images-idx3-ubyte", 16)(t, dir)
			cut("t10k-labels-idx1-ubyte", 8)(t, dir)
			change("t10k-images-idx3-ubyte", 7, 0)(t, dir)
			change("t10k-labels-idx1-ubyte", 7, 0)(t, dir)
		}, "test: has no records"},
		"not gzip": {data.MNIST, func(t *testing.T, dir string) {
			remove("t10k-images-idx3-ubyte")(t, dir)
			add("t10k-images-idx3-ubyte.gz", "no gzip at all")(t, dir)
		}, "t10k-images-idx3-ubyte.gz: gzip: invalid header"},
		"two data sets":     {data.MNIST, add("test_batch.bin", "x"), "has files of more than one data set (t"},
		"no image":          {data.ImageNet, add(image+"readme.txt", "hello"), image + "readme.txt: image: unknown format"},
		"truncated image":   {data.ImageNet, func(t *testing.T, dir string) { truncateFirst(t, filepath.Join(dir, image)) }, "the image is damaged, or none; fetch it again, or remove it"},
		"class too many":    {data.ImageNet, add("val/n99999999/a.JPEG", "x"), "val/n99999999: is a class that the training set has not"},
		"no sequence file":  {data.ImageNet, add("train/a.seq", "SE"), "train/a.seq: ends in its header"},
		"another's records": {data.ImageNet, add("train/a.seq", sequence(t, "no label")), `train/a.seq: record 0: the key "no label" has no label`},
	} {
		dir := synthesize(t, c.format, data.Size{Train: 20, Test: 10, Side: 16}, 7)
		c.damage(t, dir)
		_, err := data.Verify(t.Context(), dir)
		if err == nil || !strings.HasPrefix(err.Error(), dir+": ") || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %s", name, err, c.want)
		}
	}
}

func truncateFirst(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err == nil {
		err = os.Truncate(filepath.Join(dir, entries[0].Name()), 700)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// sequence is a sequence file of one record.
func sequence(t *testing.T, key string) string {
	t.Helper()
	var b bytes.Buffer
	w, err := seqfile.NewWriter(&b, seqfile.None, [16]byte{1})
	if err == nil {
		err = w.Append([]byte(key), []byte{0, 0, 0, 1, 0, 0, 0, 1, 1, 2, 3})
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestVerifyOfNothing(t *testing.T) {
	dir := t.TempDir()
	if _, err := data.Verify(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "has no known data set among its 0 entries: looked for data_batch_1.bin") {
		t.Errorf("an empty folder: %v", err)
	}
	if _, err := data.Verify(t.Context(), filepath.Join(dir, "nothing")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: %v", err)
	}
}
