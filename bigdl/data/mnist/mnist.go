// Package mnist reads and writes MNIST's idx files: a magic number, counts, then one byte for a label or for a pixel. Images and labels are
// in two files that must agree. It does not look at the pixels.
package mnist

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// What a record is made of.
const (
	Classes    = 10
	Side       = 28
	PixelBytes = Side * Side
)

// Published are the numbers of records in the published files.
const (
	PublishedTrain = 60000
	PublishedTest  = 10000
)

const (
	magicImages = 2051
	magicLabels = 2049
)

// Set are the two files of a training or test set, as published and as BigDL asks for them.
type Set struct{ Images, Labels string }

// Train and Test are the published sets.
var (
	Train = Set{"train-images-idx3-ubyte", "train-labels-idx1-ubyte"}
	Test  = Set{"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}
)

// Reader gives the records of one set.
type Reader struct {
	images, labels io.Reader
	names          Set
	count, n       int
	label          [1]byte
	pixels         [PixelBytes]byte
}

// NewReader reads the headers of a set; names are how errors name its files.
func NewReader(images, labels io.Reader, names Set) (*Reader, error) {
	r := &Reader{images: images, labels: labels, names: names}
	n, err := header(images, names.Images, magicImages, Side, Side)
	if err != nil {
		return nil, err
	}
	m, err := header(labels, names.Labels, magicLabels)
	if err != nil {
		return nil, err
	}
	if n != m {
		return nil, fmt.Errorf("%s has %d images, but %s has %d labels: they are not of one set; fetch both again", names.Images, n, names.Labels, m)
	}
	r.count = n
	return r, nil
}

// header reads a magic number, a count and sizes that must be those given.
func header(r io.Reader, file string, magic uint32, sizes ...uint32) (count int, err error) {
	b := make([]byte, 8+4*len(sizes))
	n, err := io.ReadFull(r, b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, fmt.Errorf("%s: header: %w", file, err)
	}
	switch got := binary.BigEndian.Uint32(b); {
	case got == magic && n == len(b):
	case got == magic || n < 4:
		return 0, fmt.Errorf("%s: has %d bytes, and its header alone has %d: the file is truncated; fetch it again", file, n, len(b))
	case got>>16 == 0x1f8b:
		return 0, fmt.Errorf("%s: is a gzip file: name it %s.gz, or unpack it (gunzip)", file, file)
	case got == magicImages || got == magicLabels:
		return 0, fmt.Errorf("%s: begins with the number %d, and should with %d: files of images and of labels were mixed up", file, got, magic)
	default:
		return 0, fmt.Errorf("%s: begins with the number %d, and should with %d: it is no idx file of MNIST, or damaged; fetch it again", file, got, magic)
	}
	for i, want := range sizes {
		if got := binary.BigEndian.Uint32(b[8+4*i:]); got != want {
			return 0, fmt.Errorf("%s: says that an image has %d rows or columns, and MNIST's have %d: it is another data set, or damaged", file, got, want)
		}
	}
	records := binary.BigEndian.Uint32(b[4:])
	if records > 1<<30 {
		return 0, fmt.Errorf("%s: says that it has %d records: the file is damaged; fetch it again", file, records)
	}
	return int(records), nil
}

// Len is the number of records that the files say they have.
func (r *Reader) Len() int { return r.count }

// Next is the next record. Its pixels are the Reader's, until the next call. After the last record, when neither file has more, the error is
// io.EOF.
func (r *Reader) Next() (label byte, pixels []byte, err error) {
	if r.n == r.count {
		if err := r.ended(r.images, r.names.Images); err != nil {
			return 0, nil, err
		}
		if err := r.ended(r.labels, r.names.Labels); err != nil {
			return 0, nil, err
		}
		return 0, nil, io.EOF
	}
	if err := r.read(r.images, r.names.Images, r.pixels[:]); err != nil {
		return 0, nil, err
	}
	if err := r.read(r.labels, r.names.Labels, r.label[:]); err != nil {
		return 0, nil, err
	}
	if r.label[0] >= Classes {
		return 0, nil, fmt.Errorf("%s: record %d has the label %d, and labels are 0 to %d: the file is damaged; fetch it again", r.names.Labels, r.n, r.label[0], Classes-1)
	}
	r.n++
	return r.label[0], r.pixels[:], nil
}

func (r *Reader) read(from io.Reader, file string, b []byte) error {
	_, err := io.ReadFull(from, b)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%s: ends in record %d, and its header says %d records: the file is truncated; fetch it again", file, r.n, r.count)
	}
	if err != nil {
		return fmt.Errorf("%s: record %d: %w", file, r.n, err)
	}
	return nil
}

// ended fails unless the file has no more bytes.
func (r *Reader) ended(from io.Reader, file string) error {
	n, err := io.Copy(io.Discard, from)
	if err != nil {
		return fmt.Errorf("%s: after the last record: %w", file, err)
	}
	if n != 0 {
		return fmt.Errorf("%s: has %d bytes more than the %d records that its header says: the header or the file is damaged; fetch it again", file, n, r.count)
	}
	return nil
}

// WriteHeaders begins the two files of a set of n records.
func WriteHeaders(images, labels io.Writer, n int) error {
	var b []byte
	for _, v := range []uint32{magicImages, uint32(n), Side, Side} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	if _, err := images.Write(b); err != nil {
		return err
	}
	b = binary.BigEndian.AppendUint32(nil, magicLabels)
	_, err := labels.Write(binary.BigEndian.AppendUint32(b, uint32(n)))
	return err
}

// Write writes one record, after the headers.
func Write(images, labels io.Writer, label byte, pixels []byte) error {
	if label >= Classes || len(pixels) != PixelBytes {
		return fmt.Errorf("no record of MNIST: label %d, %d bytes of pixels", label, len(pixels))
	}
	if _, err := images.Write(pixels); err != nil {
		return err
	}
	_, err := labels.Write([]byte{label})
	return err
}
