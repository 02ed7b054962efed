package data_test

import (
	"context"
	"errors"
	"image/jpeg"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weft/bigdl/data"
	"weft/bigdl/data/imagenet"
	"weft/bigdl/data/seqfile"
)

// Labels, names and pixels of the records are those of the images.
func TestSequenceFilesHoldTheImages(t *testing.T) {
	from := synthesize(t, data.ImageNet, data.Size{Train: 20, Test: 10, Side: 16}, 7)
	to := filepath.Join(t.TempDir(), "seq")
	if err := data.WriteSeqFiles(t.Context(), data.SeqFiles{From: from, To: to, Codec: seqfile.Deflate, PerFile: 100, Names: true}); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(to, "train/imagenet-seq-0_0.seq"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	r, err := seqfile.NewReader(f, "f")
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	for range 20 {
		key, value, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		record, err := imagenet.Parse(key, value)
		if err != nil {
			t.Fatal(err)
		}
		order = append(order, record.Name)
		class, _, _ := strings.Cut(record.Name, "_")
		if record.Width != 16 || record.Height != 16 || int(class[8]-'0')+10*int(class[7]-'0') != record.Label {
			t.Errorf("%s has the label %d and %dx%d pixels", record.Name, record.Label, record.Width, record.Height)
		}
		in, err := os.Open(filepath.Join(from, "train", class, record.Name))
		if err != nil {
			t.Fatal(err)
		}
		img, err := jpeg.Decode(in)
		_ = in.Close()
		if err != nil {
			t.Fatal(err)
		}
		red, green, blue, _ := img.At(3, 5).RGBA()
		got := record.BGR[3*(5*16+3):]
		if got[0] != byte(blue>>8) || got[1] != byte(green>>8) || got[2] != byte(red>>8) {
			t.Errorf("%s: pixel %v, in the image %d %d %d", record.Name, got[:3], blue>>8, green>>8, red>>8)
		}
	}
	if slices.IsSorted(order) {
		t.Error("the images are in the order of the folder, class after class")
	}
}

func TestSequenceFilesAreThoseOfTheirSeed(t *testing.T) {
	from := synthesize(t, data.ImageNet, data.Size{Train: 20, Test: 10, Side: 16}, 7)
	var made []map[string]string
	for _, seed := range []uint64{1, 1, 2} {
		to := filepath.Join(t.TempDir(), "seq")
		if err := data.WriteSeqFiles(t.Context(), data.SeqFiles{From: from, To: to, Codec: seqfile.None, Side: 20, PerFile: 7, Seed: seed}); err != nil {
			t.Fatal(err)
		}
		made = append(made, contents(t, to))
	}
	if len(made[0]) != 3+2 {
		t.Errorf("%d files", len(made[0]))
	}
	for name, content := range made[0] {
		if made[1][name] != content || made[2][name] == content {
			t.Errorf("%s: the same with the same seed: %v; another with another: %v", name, made[1][name] == content, made[2][name] != content)
		}
	}
}

func TestSequenceFilesAreRefused(t *testing.T) {
	from := synthesize(t, data.ImageNet, data.Size{Train: 20, Test: 10, Side: 16}, 7)
	damaged := synthesize(t, data.ImageNet, data.Size{Train: 20, Test: 10, Side: 16}, 7)
	truncateFirst(t, filepath.Join(damaged, "train/n00000004"))
	there := t.TempDir()
	if err := os.Mkdir(filepath.Join(there, "val"), 0o777); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for _, c := range []struct {
		ctx  context.Context
		s    data.SeqFiles
		want string
	}{
		{t.Context(), data.SeqFiles{From: from, To: there, PerFile: 1}, "/val: file already exists: give another folder, or remove it; nothing was written"},
		{t.Context(), data.SeqFiles{From: there + "/val", To: t.TempDir(), PerFile: 1}, "has neither train/ nor val/"},
		{t.Context(), data.SeqFiles{From: damaged, To: t.TempDir(), PerFile: 100}, "the image is damaged"},
		{t.Context(), data.SeqFiles{From: from, To: t.TempDir()}, "0 images in a file"},
		{t.Context(), data.SeqFiles{From: from, To: t.TempDir(), PerFile: 1, Side: 1}, "scaled to 1 pixels"},
		{ended, data.SeqFiles{From: from, To: t.TempDir(), PerFile: 1}, "context canceled"},
	} {
		err := data.WriteSeqFiles(c.ctx, c.s)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v; want %s", err, c.want)
		}
		if left := contents(t, c.s.To); len(left) != 0 {
			t.Errorf("%s: left %d files", c.want, len(left))
		}
	}
}

func TestSynthesizeIsRefused(t *testing.T) {
	for want, c := range map[string]struct {
		f data.Format
		n data.Size
	}{
		`unknown format "cifar100": known are cifar10, mnist, imagenet`: {"cifar100", data.Size{Train: 10, Test: 10}},
		"4 training records are too few: at least 5":                    {data.CIFAR10, data.Size{Train: 4, Test: 10}},
		"0 training records are too few: at least 1":                    {data.MNIST, data.Size{Train: 0, Test: 10}},
		"19 training records are too few: at least 20":                  {data.ImageNet, data.Size{Train: 19, Test: 10, Classes: 20}},
		"0 test records are too few":                                    {data.MNIST, data.Size{Train: 10}},
		"1001 classes: 2 to 1000":                                       {data.ImageNet, data.Size{Train: 2000, Test: 10, Classes: 1001}},
		"images of 4 pixels":                                            {data.ImageNet, data.Size{Train: 20, Test: 10, Side: 4}},
	} {
		dir := filepath.Join(t.TempDir(), "x")
		err := data.Synthesize(t.Context(), dir, c.f, c.n, 1)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s", err, want)
		}
		if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: there is a folder", want)
		}
	}
}

func TestProgress(t *testing.T) {
	told := map[string]int{}
	ctx := data.WithProgress(t.Context(), func(what string, done, total int) {
		if total != 0 && done >= total {
			t.Errorf("%s: %d of %d", what, done, total)
		}
		told[what]++
	})
	dir := filepath.Join(t.TempDir(), "x")
	if err := data.Synthesize(ctx, dir, data.MNIST, data.Size{Train: 20, Test: 10}, 1); err != nil {
		t.Fatal(err)
	}
	if told["train-images-idx3-ubyte"] != 20 || told["t10k-images-idx3-ubyte"] != 10 {
		t.Errorf("told of %v", told)
	}
}
