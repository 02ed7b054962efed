// Package seqfile reads and writes Hadoop's sequence files of version 6 with a Text as key and a Text as value, uncompressed or with each
// value compressed by itself. These are the files from which BigDL takes ImageNet. It refuses files compressed by blocks and other classes,
// and gives no meaning to what is in a record.
package seqfile

import "io"

const (
	version   = 6
	textClass = "org.apache.hadoop.io.Text"
	syncBytes = 16
	escape    = -1 // in place of a record's length: a sync marker follows

	// syncInterval is after how many bytes another marker is written, so that Hadoop can begin to read in the middle.
	syncInterval = 100 << 10
	// maxRecord is the most bytes that a record, or its value when unpacked, may have.
	maxRecord = 64 << 20
)

// Writer writes one file.
type Writer struct {
	w         io.Writer
	codec     Codec
	sync      [syncBytes]byte
	sinceSync int
	buf       []byte
}

// NewWriter writes the header of a file. The marker must be like nothing in the data: 16 random bytes.
func NewWriter(w io.Writer, codec Codec, marker [syncBytes]byte) (*Writer, error) {
	b := append([]byte("SEQ"), version)
	b = appendText(b, []byte(textClass))
	b = appendText(b, []byte(textClass))
	if class := classes[codec]; class == "" {
		b = append(b, 0, 0) // not compressed, not by blocks
	} else {
		b = append(b, 1, 0)
		b = appendText(b, []byte(class))
	}
	b = appendInt(b, 0) // metadata
	b = append(b, marker[:]...)
	_, err := w.Write(b)
	return &Writer{w: w, codec: codec, sync: marker}, err
}

// Append writes one record.
func (w *Writer) Append(key, value []byte) error {
	packed, err := w.codec.compress(appendText(nil, value))
	if err != nil {
		return err
	}
	b := w.buf[:0]
	if w.sinceSync >= syncInterval {
		b = append(appendInt(b, escape), w.sync[:]...)
		w.sinceSync = 0
	}
	textKey := appendText(nil, key)
	b = appendInt(b, len(textKey)+len(packed))
	b = appendInt(b, len(textKey))
	b = append(b, textKey...)
	b = append(b, packed...)
	w.buf = b
	w.sinceSync += len(b)
	_, err = w.w.Write(b)
	return err
}
