package seqfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// appendText appends what Hadoop's Text writes: its length as a variable-length integer, and its bytes.
func appendText(b, text []byte) []byte { return append(appendVInt(b, len(text)), text...) }

// appendVInt appends n as Hadoop's WritableUtils writes an integer that is not negative: up to 127 as it is, and above that the number of
// its bytes, as -113 for one and less for each further, and these.
func appendVInt(b []byte, n int) []byte {
	if n <= 127 {
		return append(b, byte(n))
	}
	bytes := 1
	for n>>(8*bytes) != 0 {
		bytes++
	}
	b = append(b, byte(-112-bytes))
	for i := bytes - 1; i >= 0; i-- {
		b = append(b, byte(n>>(8*i)))
	}
	return b
}

var errVInt = errors.New("a length that is none")

// readVInt reads an integer that is not negative and not above limit.
func readVInt(r io.ByteReader, limit int) (int, error) {
	first, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	n := uint64(first)
	if first > 127 {
		bytes := -112 - int(int8(first))
		if bytes < 1 || bytes > 4 {
			return 0, errVInt
		}
		n = 0
		for range bytes {
			b, err := r.ReadByte()
			if err != nil {
				return 0, unexpected(err)
			}
			n = n<<8 | uint64(b)
		}
	}
	if n > uint64(limit) {
		return 0, fmt.Errorf("a length of %d bytes, more than the %d that are taken", n, limit)
	}
	return int(n), nil
}

// textOf is the text that b holds, which must have nothing else.
func textOf(b []byte) ([]byte, error) {
	r := byteReader{b}
	n, err := readVInt(&r, maxRecord)
	if err != nil {
		return nil, err
	}
	if n != len(r.b) {
		return nil, fmt.Errorf("a text of %d bytes where %d are", n, len(r.b))
	}
	return r.b, nil
}

type byteReader struct{ b []byte }

func (r *byteReader) ReadByte() (byte, error) {
	if len(r.b) == 0 {
		return 0, io.ErrUnexpectedEOF
	}
	b := r.b[0]
	r.b = r.b[1:]
	return b, nil
}

// unexpected is the error of an end where there should be more.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func appendInt(b []byte, n int) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) }
