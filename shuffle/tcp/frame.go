package tcp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

const (
	headerLen  = 8
	maxMessage = 16 << 20
	maxStrange = 64 << 10 // a message of a peer that has not proved to have an application's secret
	maxPayload = 1 << 30

	readBuffer  = 16 << 10 // bytes of frames read ahead; what is larger goes past the buffer
	keepMessage = 64 << 10 // a larger message's memory is not kept for the next
)

// frames reads frames. A frame's payload has to be taken before the next frame.
type frames struct {
	r    *bufio.Reader
	msg  []byte
	most uint32 // bytes of a message
}

func newFrames(r io.Reader) *frames {
	return &frames{r: bufio.NewReaderSize(r, readBuffer), most: maxMessage}
}

// next returns the message of the next frame, valid until the call after it, and the length of the payload behind it. io.EOF means that
// the stream ended between two frames.
func (f *frames) next() (msg []byte, payload int, err error) {
	header, err := f.r.Peek(headerLen)
	if err != nil {
		if errors.Is(err, io.EOF) && len(header) > 0 {
			err = io.ErrUnexpectedEOF
		}
		return nil, 0, err
	}
	n, p := binary.BigEndian.Uint32(header), binary.BigEndian.Uint32(header[4:])
	if n > f.most || p > maxPayload {
		return nil, 0, fmt.Errorf("a frame with a message of %d and a payload of %d bytes; at most %d and %d are allowed", n, p, f.most, maxPayload)
	}
	_, _ = f.r.Discard(headerLen)
	if msg, err = f.message(int(n)); err != nil {
		return nil, 0, err
	}
	return msg, int(p), nil
}

// message reads n bytes. It makes room as they come, not as they are announced.
func (f *frames) message(n int) ([]byte, error) {
	if cap(f.msg) > keepMessage {
		f.msg = nil
	}
	f.msg = f.msg[:0]
	for len(f.msg) < n {
		part := min(n-len(f.msg), max(len(f.msg), readBuffer))
		off := len(f.msg)
		f.msg = append(f.msg, make([]byte, part)...)
		if err := f.payload(f.msg[off:]); err != nil {
			return nil, err
		}
	}
	return f.msg, nil
}

// payload fills dst. Where dst is larger than what was read ahead, the rest is read from the stream straight into it.
func (f *frames) payload(dst []byte) error {
	_, err := io.ReadFull(f.r, dst)
	if errors.Is(err, io.EOF) && len(dst) > 0 {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// newFrame is an empty frame in buf's memory, to which a message is appended before seal.
func newFrame(buf []byte) []byte { return append(buf[:0], make([]byte, headerLen)...) }

// seal writes the header of a frame that ends in its message.
func seal(frame []byte, payload int) error {
	n := len(frame) - headerLen
	if n > maxMessage || payload > maxPayload {
		return fmt.Errorf("message of %d and payload of %d bytes; at most %d and %d go into a frame", n, payload, maxMessage, maxPayload)
	}
	binary.BigEndian.PutUint32(frame, uint32(n))
	binary.BigEndian.PutUint32(frame[4:], uint32(payload))
	return nil
}
