package mnist_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"weft/bigdl/data/mnist"
)

// set is a right set of n records: the images are all 7, the labels 0, 1, ...
func set(n byte) (images, labels []byte) {
	images = append([]byte{0, 0, 8, 3, 0, 0, 0, n, 0, 0, 0, 28, 0, 0, 0, 28}, bytes.Repeat([]byte{7}, int(n)*784)...)
	labels = []byte{0, 0, 8, 1, 0, 0, 0, n}
	for i := range n {
		labels = append(labels, i%10)
	}
	return images, labels
}

func read(images, labels io.Reader) (got []byte, err error) {
	r, err := mnist.NewReader(images, labels, mnist.Set{Images: "images", Labels: "labels"})
	if err != nil {
		return nil, err
	}
	for {
		label, pixels, err := r.Next()
		if errors.Is(err, io.EOF) {
			if r.Len() != len(got) {
				return got, errors.New("not as many as promised")
			}
			return got, nil
		}
		if err != nil {
			return got, err
		}
		if len(pixels) != 784 {
			return got, errors.New("not an image")
		}
		got = append(got, label)
	}
}

func TestHandMade(t *testing.T) {
	images, labels := set(12)
	images[16+783] = 99
	r, err := mnist.NewReader(bytes.NewReader(images), iotest.OneByteReader(bytes.NewReader(labels)), mnist.Train)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 12 {
		label, pixels, err := r.Next()
		if err != nil || int(label) != i%10 || pixels[0] != 7 || (pixels[783] == 99) != (i == 0) {
			t.Errorf("record %d: label %d, pixels %d to %d, error %v", i, label, pixels[0], pixels[783], err)
		}
	}
	if _, _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v", err)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	images, labels := set(10)
	var i, l bytes.Buffer
	if err := mnist.WriteHeaders(&i, &l, 10); err != nil {
		t.Fatal(err)
	}
	for label := range byte(10) {
		if err := mnist.Write(&i, &l, label, bytes.Repeat([]byte{7}, 784)); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(i.Bytes(), images) || !bytes.Equal(l.Bytes(), labels) {
		t.Errorf("images %x..., labels %x", i.Bytes()[:20], l.Bytes())
	}
	if mnist.Write(&i, &l, 10, images[16:16+784]) == nil || mnist.Write(&i, &l, 1, images[16:16+783]) == nil {
		t.Error("writes what is no record")
	}
}

func TestDamage(t *testing.T) {
	for name, c := range map[string]struct {
		damage  func(images, labels []byte) (i, l []byte)
		records int
		want    string
	}{
		"no header":        {func(i, l []byte) ([]byte, []byte) { return i[:15], l }, 0, "images: has 15 bytes, and its header alone has 16"},
		"empty labels":     {func(i, _ []byte) ([]byte, []byte) { return i, nil }, 0, "labels: has 0 bytes, and its header alone has 8"},
		"truncated images": {func(i, l []byte) ([]byte, []byte) { return i[:len(i)-1], l }, 2, "images: ends in record 2, and its header says 3 records"},
		"images missing":   {func(i, l []byte) ([]byte, []byte) { return i[:16+784], l }, 1, "images: ends in record 1"},
		"truncated labels": {func(i, l []byte) ([]byte, []byte) { return i, l[:len(l)-1] }, 2, "labels: ends in record 2"},
		"too many images":  {func(i, l []byte) ([]byte, []byte) { return append(i, i[16:]...), l }, 3, "images: has 2352 bytes more than the 3 records"},
		"too many labels":  {func(i, l []byte) ([]byte, []byte) { return i, append(l, 1) }, 3, "labels: has 1 bytes more than the 3 records"},
		"counts differ":    {func(i, l []byte) ([]byte, []byte) { l[7] = 4; return i, append(l, 1) }, 0, "images has 3 images, but labels has 4 labels"},
		"exchanged":        {func(i, l []byte) ([]byte, []byte) { return l, i }, 0, "images: begins with the number 2049, and should with 2051: files of images and of labels were mixed up"},
		"something else":   {func(_, l []byte) ([]byte, []byte) { return []byte("<!DOCTYPE html><html>"), l }, 0, "images: begins with the number 1008813135, and should with 2051"},
		"gzip":             {func(i, _ []byte) ([]byte, []byte) { return i, []byte{0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0} }, 0, "labels: is a gzip file: name it labels.gz"},
		"size":             {func(i, l []byte) ([]byte, []byte) { i[15] = 32; return i, l }, 0, "images: says that an image has 32 rows or columns, and MNIST's have 28"},
		"count":            {func(i, l []byte) ([]byte, []byte) { i[4] = 0x80; return i, l }, 0, "images: says that it has 2147483651 records"},
		"label":            {func(i, l []byte) ([]byte, []byte) { l[9] = 10; return i, l }, 1, "labels: record 1 has the label 10, and labels are 0 to 9"},
	} {
		images, labels := c.damage(set(3))
		got, err := read(bytes.NewReader(images), bytes.NewReader(labels))
		if len(got) != c.records || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d records, %v; want %d, %s", name, len(got), err, c.records, c.want)
		}
	}
	images, labels := set(3)
	broken := errors.New("the disk is broken")
	_, err := read(io.MultiReader(bytes.NewReader(images[:900]), iotest.ErrReader(broken)), bytes.NewReader(labels))
	if !errors.Is(err, broken) || !strings.Contains(err.Error(), "images: record 1") {
		t.Errorf("a broken disk gives: %v", err)
	}
}

func FuzzReader(f *testing.F) {
	images, labels := set(3)
	f.Add(images, labels)
	f.Add(images[:1000], labels)
	f.Add(labels, images)
	f.Add([]byte{}, []byte{0, 0, 8, 1})
	f.Fuzz(func(t *testing.T, images, labels []byte) {
		got, err := read(bytes.NewReader(images), bytes.NewReader(labels))
		if len(got) > len(labels) || len(got) > len(images)/784 {
			t.Errorf("%d records of %d and %d bytes", len(got), len(images), len(labels))
		}
		if err == nil && (len(images) != 16+784*len(got) || len(labels) != 8+len(got)) {
			t.Errorf("%d and %d bytes are right with %d records", len(images), len(labels), len(got))
		}
	})
}
