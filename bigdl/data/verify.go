package data

import (
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"image"
	"io"
	"io/fs"
	"slices"
	"strings"

	"weft/bigdl/data/cifar"
	"weft/bigdl/data/imagenet"
	"weft/bigdl/data/mnist"
	"weft/bigdl/data/store"
)

// Report is what a data set has.
type Report struct {
	Location string `json:"location"`
	Format   Format `json:"format"`
	Parts    []Part `json:"parts"`
}

// Part is the training or the test set.
type Part struct {
	Name      string  `json:"name"`
	Kind      string  `json:"kind"` // of its files, in words
	Files     int     `json:"files"`
	Records   int     `json:"records"`
	Published int     `json:"published"` // records of the published set
	Classes   []Count `json:"classes"`
	// Digest is the SHA-256 over labels and contents of the records in their order: the same however files are split, packed or stored.
	Digest string `json:"sha256"`
	Note   string `json:"note,omitempty"`
}

// Count is how many records a class has.
type Count struct {
	Class   string `json:"class"`
	Records int    `json:"records"`
}

// Verify reads the data set at a location, a path or hdfs://HOST:PORT/PATH, from beginning to end, and fails at the first damage.
func Verify(ctx context.Context, location string) (Report, error) {
	folder, err := store.Open(ctx, location)
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = folder.Close() }()
	r := Report{Location: location}
	if r.Format, err = detect(folder); err == nil {
		verify := map[Format]func(context.Context, fs.FS) ([]Part, error){CIFAR10: verifyCIFAR, MNIST: verifyMNIST, ImageNet: verifyImageNet}[r.Format]
		r.Parts, err = verify(ctx, folder)
	}
	if err != nil {
		return Report{}, fmt.Errorf("%s: %w", location, err)
	}
	return r, nil
}

// detect tells the format from the names of the files.
func detect(fsys fs.FS) (Format, error) {
	entries, err := fs.ReadDir(fsys, ".")
	if err != nil {
		return "", err
	}
	known := map[string]Format{}
	for _, name := range outputs[ImageNet] {
		known[name] = ImageNet
	}
	for _, name := range outputs[CIFAR10] {
		known[name] = CIFAR10
	}
	for _, name := range outputs[MNIST] {
		known[name], known[name+".gz"] = MNIST, MNIST
	}
	found := map[Format]string{}
	for _, e := range entries {
		if f, ok := known[e.Name()]; ok && e.IsDir() == (f == ImageNet) {
			found[f] = e.Name()
		}
	}
	if len(found) > 1 {
		return "", fmt.Errorf("has files of more than one data set (%s): give each a folder of its own", strings.Join(sorted(found), ", "))
	}
	for f := range found {
		return f, nil
	}
	return "", fmt.Errorf("has no known data set among its %d entries: looked for %s of CIFAR-10's binary version, %s of MNIST, and the folders %s/ and %s/ of ImageNet; name the folder that has them",
		len(entries), cifar.Train[0], mnist.Train.Images, imagenet.Train, imagenet.Val)
}

func sorted(found map[Format]string) []string {
	var s []string
	for _, name := range found {
		s = append(s, name)
	}
	slices.Sort(s)
	return s
}

// tally counts and digests the records of a part.
type tally struct {
	part   Part
	digest hash.Hash
	counts []int
}

func newTally(name, kind string, published int) *tally {
	return &tally{part: Part{Name: name, Kind: kind, Published: published}, digest: sha256.New()}
}

// add counts a record; the first label is 0.
func (t *tally) add(label int, content ...[]byte) {
	for len(t.counts) <= label {
		t.counts = append(t.counts, 0)
	}
	t.counts[label]++
	t.part.Records++
	t.digest.Write(binary.BigEndian.AppendUint32(nil, uint32(label)))
	for _, b := range content {
		t.digest.Write(b)
	}
}

// done is the part; name is what a class is called.
func (t *tally) done(name func(label int) string) (Part, error) {
	if t.part.Records == 0 {
		return Part{}, fmt.Errorf("%s: has no records: write or fetch it again", t.part.Name)
	}
	for label, n := range t.counts {
		if n > 0 {
			t.part.Classes = append(t.part.Classes, Count{name(label), n})
		}
	}
	t.part.Digest = hex.EncodeToString(t.digest.Sum(nil))
	return t.part, nil
}

func digit(label int) string { return fmt.Sprint(label) }

func verifyCIFAR(ctx context.Context, fsys fs.FS) (parts []Part, err error) {
	for _, part := range []struct {
		name  string
		files []string
	}{{"train", cifar.Train}, {"test", cifar.Test}} {
		if err := all(fsys, part.files); err != nil {
			return nil, err
		}
		t := newTally(part.name, "CIFAR-10, binary version, 32x32 pixels of 3 bytes", cifar.Published*len(part.files))
		for _, file := range part.files {
			if err := tallyCIFAR(ctx, fsys, file, t); err != nil {
				return nil, err
			}
		}
		p, err := t.done(digit)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

// all fails unless all these files are there.
func all(fsys fs.FS, files []string) error {
	var missing []string
	for _, file := range files {
		if _, err := fs.Stat(fsys, file); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, file)
		} else if err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("missing: %s; BigDL reads all of %s: fetch what is missing", strings.Join(missing, ", "), strings.Join(files, ", "))
	}
	return nil
}

func tallyCIFAR(ctx context.Context, fsys fs.FS, file string, t *tally) error {
	f, err := fsys.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	t.part.Files++
	before := t.part.Records
	r := cifar.NewReader(newBuffered(f), file)
	for {
		label, pixels, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		t.add(int(label), pixels)
		if err := step(ctx, file, t.part.Records-before, 0); err != nil {
			return err
		}
	}
	if t.part.Records == before {
		return fmt.Errorf("%s: is empty: fetch it again", file)
	}
	return nil
}

func verifyMNIST(ctx context.Context, fsys fs.FS) (parts []Part, err error) {
	for _, part := range []struct {
		name      string
		set       mnist.Set
		published int
	}{{"train", mnist.Train, mnist.PublishedTrain}, {"test", mnist.Test, mnist.PublishedTest}} {
		t := newTally(part.name, "MNIST, idx files, 28x28 pixels of 1 byte", part.published)
		if err := tallyMNIST(ctx, fsys, part.set, t); err != nil {
			return nil, err
		}
		p, err := t.done(digit)
		if err != nil {
			return nil, err
		}
		parts = append(parts, p)
	}
	return parts, nil
}

func tallyMNIST(ctx context.Context, fsys fs.FS, set mnist.Set, t *tally) error {
	images, err := openPacked(fsys, set.Images, t)
	if err != nil {
		return err
	}
	defer func() { _ = images.Close() }()
	labels, err := openPacked(fsys, set.Labels, t)
	if err != nil {
		return err
	}
	defer func() { _ = labels.Close() }()
	r, err := mnist.NewReader(images, labels, set)
	if err != nil {
		return err
	}
	for {
		label, pixels, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		t.add(int(label), pixels)
		if err := step(ctx, set.Images, t.part.Records, r.Len()); err != nil {
			return err
		}
	}
}

// openPacked opens a file, or the same packed by gzip, which BigDL cannot read.
func openPacked(fsys fs.FS, name string, t *tally) (io.ReadCloser, error) {
	t.part.Files++
	f, err := fsys.Open(name)
	if err == nil {
		return newBuffered(f), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if f, err = fsys.Open(name + ".gz"); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("missing: %s; BigDL reads the two files of each of MNIST's sets, by these names: fetch it, or rename it", name)
	} else if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(newBuffered(f))
	if err != nil {
		_ = f.Close()
		return nil, fmt.Errorf("%s.gz: %w: the file is damaged; fetch it again", name, err)
	}
	t.part.Note = "packed by gzip, which BigDL does not read: unpack the files (gunzip) before training"
	return struct {
		io.Reader
		io.Closer
	}{z, f}, nil
}

// decode reads an image file. Its bytes also go to w, where that is not nil.
func decode(fsys fs.FS, file string, w io.Writer) (image.Image, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var r io.Reader = newBuffered(f)
	if w != nil {
		r = io.TeeReader(r, w)
	}
	img, err := imagenet.Decode(r)
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w: the image is damaged, or none; fetch it again, or remove it", file, err)
	}
	return img, nil
}
