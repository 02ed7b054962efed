// Package cifar reads and writes the binary version of CIFAR-10: files of records of 3073 bytes, a label and 32x32 pixels in three planes,
// red, green and blue. The files have no header and no count. It does not look at the pixels.
package cifar

import (
	"errors"
	"fmt"
	"io"
)

// What a record is made of.
const (
	Classes     = 10
	Side        = 32
	PixelBytes  = 3 * Side * Side
	RecordBytes = 1 + PixelBytes
)

// Published is the number of records in each published file.
const Published = 10000

// Train and Test are the files of the training set and of the test set, as published.
var (
	Train = []string{"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"}
	Test  = []string{"test_batch.bin"}
)

// Reader gives the records of one file.
type Reader struct {
	r      io.Reader
	file   string
	n      int
	record [RecordBytes]byte
}

// NewReader reads from r; file is how errors name it.
func NewReader(r io.Reader, file string) *Reader { return &Reader{r: r, file: file} }

// Next is the next record. Its pixels are the Reader's, until the next call. After the last record the error is io.EOF.
func (r *Reader) Next() (label byte, pixels []byte, err error) {
	got, err := io.ReadFull(r.r, r.record[:])
	offset := int64(r.n) * RecordBytes
	switch {
	case errors.Is(err, io.EOF):
		return 0, nil, io.EOF
	case errors.Is(err, io.ErrUnexpectedEOF):
		return 0, nil, fmt.Errorf("%s: record %d, at byte %d, has %d bytes instead of %d: the file is truncated, or not CIFAR-10's binary version; fetch it again", r.file, r.n, offset, got, RecordBytes)
	case err != nil:
		return 0, nil, fmt.Errorf("%s: record %d, at byte %d: %w", r.file, r.n, offset, err)
	}
	if r.record[0] >= Classes {
		return 0, nil, fmt.Errorf("%s: record %d, at byte %d, has the label %d, and labels are 0 to %d: the file is damaged, or not CIFAR-10's binary version; fetch it again", r.file, r.n, offset, r.record[0], Classes-1)
	}
	r.n++
	return r.record[0], r.record[1:], nil
}

// Write writes one record.
func Write(w io.Writer, label byte, pixels []byte) error {
	if label >= Classes || len(pixels) != PixelBytes {
		return fmt.Errorf("no record of CIFAR-10: label %d, %d bytes of pixels", label, len(pixels))
	}
	if _, err := w.Write([]byte{label}); err != nil {
		return err
	}
	_, err := w.Write(pixels)
	return err
}
