package seqfile

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Reader gives the records of one file.
type Reader struct {
	r     *bufio.Reader
	file  string
	codec Codec
	sync  [syncBytes]byte
	n     int
	key   bytes.Buffer
	value bytes.Buffer
}

// NewReader reads the header of a file; file is how errors name it.
func NewReader(r io.Reader, file string) (*Reader, error) {
	s := &Reader{r: bufio.NewReader(r), file: file}
	if err := s.header(); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return nil, fmt.Errorf("%s: ends in its header: the file is truncated; write or fetch it again", file)
		}
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// Codec is how the file's values are compressed.
func (s *Reader) Codec() Codec { return s.codec }

func (s *Reader) header() error {
	var b [4]byte
	if _, err := io.ReadFull(s.r, b[:]); err != nil {
		return err
	}
	if string(b[:3]) != "SEQ" {
		return fmt.Errorf("begins with %q, and a Hadoop sequence file with \"SEQ\": it is another kind of file, or damaged", b[:3])
	}
	if b[3] != version {
		return fmt.Errorf("is a sequence file of version %d, and only %d is read: write it again with a newer Hadoop", b[3], version)
	}
	for _, what := range []string{"keys", "values"} {
		class, err := s.string()
		if err != nil {
			return err
		}
		if class != textClass {
			return fmt.Errorf("its %s are of the class %q, and BigDL reads %s: it was written for something else", what, class, textClass)
		}
	}
	flags := [2]byte{}
	if _, err := io.ReadFull(s.r, flags[:]); err != nil {
		return err
	}
	if flags[0] > 1 || flags[1] > 1 {
		return errors.New("its header is damaged where compression is said")
	}
	if flags[1] == 1 {
		return errors.New("is compressed by blocks, which is not read here: write it with compression by record, as BigDL does")
	}
	s.codec = None
	if flags[0] == 1 {
		class, err := s.string()
		if err != nil {
			return err
		}
		if s.codec = codecOf(class); s.codec == None {
			return fmt.Errorf("is compressed by %q, and only DefaultCodec and SnappyCodec are read: write it with one of these", class)
		}
	}
	pairs, err := s.int()
	if err != nil {
		return err
	}
	if pairs < 0 {
		return fmt.Errorf("its header says %d pairs of metadata: it is damaged", pairs)
	}
	for range 2 * pairs {
		if _, err := s.string(); err != nil {
			return err
		}
	}
	_, err = io.ReadFull(s.r, s.sync[:])
	return err
}

func codecOf(class string) Codec {
	for codec, c := range classes {
		if c == class {
			return codec
		}
	}
	return None
}

// Next is the next record. Key and value are the Reader's, until the next call. After the last record the error is io.EOF.
func (s *Reader) Next() (key, value []byte, err error) {
	key, value, err = s.next()
	switch {
	case err == nil:
		s.n++
		return key, value, nil
	case errors.Is(err, io.EOF):
		return nil, nil, io.EOF
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, nil, fmt.Errorf("%s: ends in record %d: the file is truncated; write or fetch it again", s.file, s.n)
	}
	return nil, nil, fmt.Errorf("%s: record %d: %w: the file is damaged; write or fetch it again", s.file, s.n, err)
}

func (s *Reader) next() (key, value []byte, err error) {
	length, err := s.int()
	if err != nil {
		return nil, nil, err
	}
	if length == escape {
		var marker [syncBytes]byte
		if _, err := io.ReadFull(s.r, marker[:]); err != nil {
			return nil, nil, unexpected(err)
		}
		if marker != s.sync {
			return nil, nil, errors.New("a sync marker that is not the file's")
		}
		if length, err = s.int(); err != nil {
			return nil, nil, err // a file may end after a marker
		}
	}
	keyLength, err := s.int()
	if err != nil {
		return nil, nil, unexpected(err)
	}
	if keyLength < 0 || keyLength > length || length > maxRecord {
		return nil, nil, fmt.Errorf("a record of %d bytes with a key of %d", length, keyLength)
	}
	if err := s.read(&s.key, keyLength); err != nil {
		return nil, nil, err
	}
	if err := s.read(&s.value, length-keyLength); err != nil {
		return nil, nil, err
	}
	if key, err = textOf(s.key.Bytes()); err != nil {
		return nil, nil, fmt.Errorf("its key has %w", damaged(err))
	}
	plain, err := s.codec.decompress(s.value.Bytes())
	if err != nil {
		return nil, nil, fmt.Errorf("its value, compressed by %s, has %w", s.codec, damaged(err))
	}
	if value, err = textOf(plain); err != nil {
		return nil, nil, fmt.Errorf("its value has %w", damaged(err))
	}
	return key, value, nil
}

// damaged is an error inside a record that is there in full: its end is not that of the file.
func damaged(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("an early end")
	}
	return err
}

// read reads n bytes into b; only as much is allocated as the file has.
func (s *Reader) read(b *bytes.Buffer, n int) error {
	b.Reset()
	_, err := io.CopyN(b, s.r, int64(n))
	return unexpected(err)
}

func (s *Reader) int() (int, error) {
	var b [4]byte
	if _, err := io.ReadFull(s.r, b[:]); err != nil {
		return 0, err
	}
	return int(int32(binary.BigEndian.Uint32(b[:]))), nil
}

// string reads a Text of the header.
func (s *Reader) string() (string, error) {
	n, err := readVInt(s.r, 64<<10)
	if err != nil {
		return "", err
	}
	b := make([]byte, n)
	_, err = io.ReadFull(s.r, b)
	return string(b), unexpected(err)
}
