package seqfile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/golang/snappy"
)

// Codec is how values are compressed.
type Codec string

// The codecs.
const (
	None    Codec = "none"
	Deflate Codec = "deflate" // Hadoop's DefaultCodec, zlib: every Hadoop reads it
	Snappy  Codec = "snappy"  // Hadoop before 3.3.1 reads it with its native library only
)

// Codecs are all of them.
var Codecs = []Codec{None, Deflate, Snappy}

var classes = map[Codec]string{
	Deflate: "org.apache.hadoop.io.compress.DefaultCodec",
	Snappy:  "org.apache.hadoop.io.compress.SnappyCodec",
}

// ParseCodec is the codec of that name.
func ParseCodec(name string) (Codec, error) {
	for _, c := range Codecs {
		if string(c) == name {
			return c, nil
		}
	}
	return "", fmt.Errorf("unknown codec %q: known are none, deflate and snappy", name)
}

// snappyBlock is how much is compressed at once: Hadoop's decompressor has a buffer of 256 KiB, and this fits into it even if it does not
// shrink at all.
const snappyBlock = 128 << 10

func (c Codec) compress(value []byte) ([]byte, error) {
	switch c {
	case Deflate:
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		if _, err := z.Write(value); err != nil {
			return nil, err
		}
		err := z.Close() // writes the rest
		return b.Bytes(), err
	case Snappy:
		var b []byte
		for len(value) > 0 {
			n := min(len(value), snappyBlock)
			block := snappy.Encode(nil, value[:n])
			b = append(appendInt(appendInt(b, n), len(block)), block...)
			value = value[n:]
		}
		return b, nil
	}
	return value, nil
}

func (c Codec) decompress(b []byte) ([]byte, error) {
	switch c {
	case Deflate:
		in := bytes.NewReader(b)
		z, err := zlib.NewReader(in)
		if err != nil {
			return nil, unexpected(err)
		}
		var out bytes.Buffer
		if n, err := io.Copy(&out, io.LimitReader(z, maxRecord+1)); err != nil {
			return nil, err
		} else if n > maxRecord {
			return nil, fmt.Errorf("more than %d bytes when unpacked", maxRecord)
		}
		if in.Len() > 0 {
			return nil, fmt.Errorf("%d bytes after the end of what is compressed", in.Len())
		}
		return out.Bytes(), nil
	case Snappy:
		return unsnappy(b)
	}
	return b, nil
}

// unsnappy reads Hadoop's frames: the length of a block when unpacked, and then, until that is reached, the length of a piece and the piece.
func unsnappy(b []byte) (out []byte, err error) {
	for len(b) > 0 {
		if len(b) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		left := int64(binary.BigEndian.Uint32(b))
		if int64(len(out))+left > maxRecord {
			return nil, fmt.Errorf("more than %d bytes when unpacked", maxRecord)
		}
		for b = b[4:]; left > 0; {
			if len(b) < 4 {
				return nil, io.ErrUnexpectedEOF
			}
			n := int64(binary.BigEndian.Uint32(b))
			if n > int64(len(b)-4) {
				return nil, io.ErrUnexpectedEOF
			}
			piece := b[4 : 4+n]
			b = b[4+n:]
			// A piece says how long it becomes. 64 times is more than snappy can make of anything: what claims more is not believed.
			if size, err := snappy.DecodedLen(piece); err != nil || int64(size) > left || size > 64*len(piece) {
				return nil, errors.Join(errors.New("a piece with an impossible length"), err)
			}
			plain, err := snappy.Decode(nil, piece)
			if err != nil {
				return nil, err
			}
			if len(plain) == 0 {
				return nil, errors.New("an empty piece")
			}
			out = append(out, plain...)
			left -= int64(len(plain))
		}
	}
	return out, nil
}
