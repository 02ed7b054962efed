package cifar_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"weft/bigdl/data/cifar"
)

// record is a record with a label, and pixels that begin with first.
func record(label, first byte) []byte {
	b := make([]byte, 3073)
	b[0], b[1], b[3072] = label, first, 0xff
	return b
}

// read reads to the end.
func read(r io.Reader) (labels []byte, err error) {
	for c := cifar.NewReader(r, "data_batch_1.bin"); ; {
		label, pixels, err := c.Next()
		if errors.Is(err, io.EOF) {
			return labels, nil
		}
		if err != nil {
			return labels, err
		}
		if len(pixels) != 3072 {
			return labels, errors.New("not an image")
		}
		labels = append(labels, label)
	}
}

func TestHandMade(t *testing.T) {
	r := cifar.NewReader(bytes.NewReader(append(record(9, 1), record(0, 2)...)), "data_batch_1.bin")
	for _, want := range [][2]byte{{9, 1}, {0, 2}} {
		label, pixels, err := r.Next()
		if err != nil || label != want[0] || len(pixels) != 3072 || pixels[0] != want[1] || pixels[3071] != 0xff {
			t.Errorf("label %d, pixels %d..., error %v; want %v", label, pixels[0], err, want)
		}
	}
	if _, _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("after the last: %v", err)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	var b bytes.Buffer
	for label := range byte(10) {
		if err := cifar.Write(&b, label, record(0, label)[1:]); err != nil {
			t.Fatal(err)
		}
	}
	if b.Len() != 10*3073 {
		t.Errorf("%d bytes", b.Len())
	}
	labels, err := read(iotest.OneByteReader(&b))
	if err != nil || !bytes.Equal(labels, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
		t.Errorf("labels %v, error %v", labels, err)
	}
	if cifar.Write(&b, 10, record(0, 0)[1:]) == nil || cifar.Write(&b, 1, record(0, 0)) == nil {
		t.Error("writes what is no record")
	}
}

func TestDamage(t *testing.T) {
	broken := errors.New("the disk is broken")
	for name, c := range map[string]struct {
		r       io.Reader
		records int
		want    string
	}{
		"truncated":      {bytes.NewReader(append(record(1, 1), record(2, 2)[:3072]...)), 1, "data_batch_1.bin: record 1, at byte 3073, has 3072 bytes instead of 3073: the file is truncated"},
		"label alone":    {bytes.NewReader([]byte{3}), 0, "record 0, at byte 0, has 1 bytes instead of 3073"},
		"label":          {bytes.NewReader(append(record(1, 1), record(10, 2)...)), 1, "data_batch_1.bin: record 1, at byte 3073, has the label 10, and labels are 0 to 9"},
		"reading failed": {io.MultiReader(bytes.NewReader(record(1, 1)), iotest.ErrReader(broken)), 1, "data_batch_1.bin: record 1, at byte 3073: the disk is broken"},
	} {
		labels, err := read(c.r)
		if len(labels) != c.records || err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d records, %v; want %d, %s", name, len(labels), err, c.records, c.want)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add(record(9, 0))
	f.Add(append(record(1, 1), record(10, 2)...))
	f.Add(record(1, 1)[:100])
	f.Fuzz(func(t *testing.T, b []byte) {
		labels, err := read(bytes.NewReader(b))
		right := len(b)%3073 == 0
		for i := 0; i < len(b); i += 3073 {
			right = right && b[i] < 10
		}
		if right != (err == nil) || right && len(labels) != len(b)/3073 {
			t.Errorf("%d bytes: %d records, error %v", len(b), len(labels), err)
		}
	})
}
