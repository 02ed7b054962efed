package jvmbridge

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"google.golang.org/protobuf/proto"
)

const (
	maxFrame  = 16 << 20 // of the protocol, without the length
	frameHead = 4
)

// frameReader reads frames into a buffer that it uses again.
type frameReader struct {
	r   io.Reader
	buf []byte
}

// bufferKept is the most that a reader or a writer keeps for the next frame.
const bufferKept = 256 << 10

// read parses the next frame into m. io.EOF: the other side ended between frames; io.ErrUnexpectedEOF: inside one.
func (f *frameReader) read(m proto.Message) error {
	var head [frameHead]byte
	if _, err := io.ReadFull(f.r, head[:1]); err != nil {
		return err
	}
	if _, err := io.ReadFull(f.r, head[1:]); err != nil {
		return torn(err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxFrame {
		return fmt.Errorf("a frame of %d bytes; at most %d are allowed", n, maxFrame)
	}
	body, err := f.body(int(n))
	if err != nil {
		return torn(err)
	}
	if err := proto.Unmarshal(body, m); err != nil {
		return fmt.Errorf("a frame of %d bytes that does not parse: %w", n, err)
	}
	return nil
}

// body reads n bytes. The buffer grows with what has come, so that a length alone costs nobody 16 MiB.
func (f *frameReader) body(n int) ([]byte, error) {
	if cap(f.buf) > bufferKept {
		f.buf = nil
	}
	got := 0
	for step := bufferKept; ; step *= 2 {
		want := min(n, got+step)
		if want > cap(f.buf) {
			f.buf = append(make([]byte, 0, want), f.buf[:got]...)
		}
		f.buf = f.buf[:want]
		if _, err := io.ReadFull(f.r, f.buf[got:]); err != nil {
			return nil, err
		}
		if got = want; got == n {
			return f.buf, nil
		}
	}
}

func torn(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendFrame appends the frame of m. A message that is longer than a frame may be is a bug of ours.
func appendFrame(to []byte, m proto.Message) ([]byte, error) {
	start := len(to)
	to, err := proto.MarshalOptions{}.MarshalAppend(append(to, 0, 0, 0, 0), m)
	if err != nil {
		return to[:start], err
	}
	n := len(to) - start - frameHead
	if n > maxFrame {
		return to[:start], fmt.Errorf("a frame of %d bytes is longer than the protocol allows", n)
	}
	binary.BigEndian.PutUint32(to[start:], uint32(n))
	return to, nil
}
