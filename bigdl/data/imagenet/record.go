// Package imagenet is ImageNet as BigDL knows it: a folder for each class with images in it, and sequence files with an image per record.
// It knows the content of a record and how an image becomes one, not the files around it.
package imagenet

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Classes is the most classes that BigDL's models of ImageNet know; labels begin with 1.
const Classes = 1000

// maxSide is the longest side that a record's image may have.
const maxSide = 1 << 14

// Record is one image: rows of pixels of three bytes, blue, green and red.
type Record struct {
	Label         int    // 1 is the first class
	Name          string // of the image's file; may be empty
	Width, Height int
	BGR           []byte
}

// Key is the key of the record's sequence file entry: the label, and above it the name if it has one.
func (r Record) Key() []byte {
	if r.Name == "" {
		return strconv.AppendInt(nil, int64(r.Label), 10)
	}
	return fmt.Appendf(nil, "%s\n%d", r.Name, r.Label)
}

// Value is the value of the record's sequence file entry: width, height and pixels.
func (r Record) Value() []byte {
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 8+len(r.BGR)), uint32(r.Width))
	b = binary.BigEndian.AppendUint32(b, uint32(r.Height))
	return append(b, r.BGR...)
}

// Parse is the record of a key and a value; its pixels are those of value.
func Parse(key, value []byte) (Record, error) {
	var r Record
	label := string(key)
	if name, rest, found := strings.Cut(label, "\n"); found {
		r.Name, label = name, rest
	}
	// BigDL reads a number with a fraction, too, and wants none.
	f, err := strconv.ParseFloat(label, 32)
	if err != nil || f != math.Trunc(f) {
		return r, fmt.Errorf("the key %.100q has no label: it should be a number, or a name, a line feed and a number", key)
	}
	if f < 1 || f > Classes {
		return r, fmt.Errorf("has the label %v, and labels are 1 to %d", f, Classes)
	}
	r.Label = int(f)
	if len(value) < 8 {
		return r, errors.New("has no width and height")
	}
	w, h := binary.BigEndian.Uint32(value), binary.BigEndian.Uint32(value[4:])
	if w < 1 || h < 1 || w > maxSide || h > maxSide || uint64(len(value)-8) != 3*uint64(w)*uint64(h) {
		return r, fmt.Errorf("says %dx%d pixels of 3 bytes and has %d bytes of them", w, h, len(value)-8)
	}
	r.Width, r.Height, r.BGR = int(w), int(h), value[8:]
	return r, nil
}
