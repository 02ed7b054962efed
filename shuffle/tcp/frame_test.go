package tcp

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/proto"

	"weft/internal/pb/peerpb"
)

func TestFrames(t *testing.T) {
	var stream []byte
	large := bytes.Repeat([]byte("large"), 50000)
	for _, payload := range [][]byte{[]byte("abc"), nil, large} {
		frame := append(newFrame(nil), bytes.Repeat([]byte{7}, len(payload)/2)...)
		if err := seal(frame, len(payload)); err != nil {
			t.Fatal(err)
		}
		stream = append(append(stream, frame...), payload...)
	}
	for name, r := range map[string]io.Reader{
		"at once": bytes.NewReader(stream), "byte by byte": iotest.OneByteReader(bytes.NewReader(stream)), "by halves": iotest.HalfReader(bytes.NewReader(stream)),
	} {
		f := newFrames(r)
		for _, want := range [][]byte{[]byte("abc"), nil, large} {
			msg, n, err := f.next()
			if err != nil || n != len(want) || len(msg) != len(want)/2 {
				t.Fatalf("%s: message of %d, payload of %d bytes, %v", name, len(msg), n, err)
			}
			got := make([]byte, n)
			if err := f.payload(got); err != nil || !bytes.Equal(got, want) {
				t.Fatalf("%s: other payload, %v", name, err)
			}
		}
		if _, _, err := f.next(); err != io.EOF { //nolint:errorlint // the value itself
			t.Errorf("%s: %v at the end, want io.EOF", name, err)
		}
	}
	for n := 1; n < len(stream); n += 997 {
		f := newFrames(bytes.NewReader(stream[:n]))
		var err error
		for err == nil {
			var payload int
			if _, payload, err = f.next(); err == nil {
				err = f.payload(make([]byte, payload))
			}
		}
		if torn := n > 12 && n != 20; torn && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("torn after %d bytes: %v", n, err)
		}
	}
}

func TestFrameTooLarge(t *testing.T) {
	for _, lengths := range [][2]uint32{{maxMessage + 1, 0}, {0, maxPayload + 1}, {1 << 31, 1 << 31}} {
		header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, lengths[0]), lengths[1])
		if _, _, err := newFrames(bytes.NewReader(header)).next(); err == nil || !strings.Contains(err.Error(), "at most") {
			t.Errorf("%v: %v", lengths, err)
		}
		if err := seal(make([]byte, headerLen), int(lengths[1])); lengths[0] == 0 && err == nil {
			t.Error("sealed")
		}
	}
}

// A header that promises 16 MiB costs no 16 MiB.
func TestFrameAnnouncedOnly(t *testing.T) {
	header := binary.BigEndian.AppendUint32(nil, maxMessage)
	f := newFrames(bytes.NewReader(append(header, make([]byte, 1000)...)))
	if _, _, err := f.next(); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%v", err)
	}
	if cap(f.msg) > 4*readBuffer {
		t.Errorf("%d bytes were allocated for 1000", cap(f.msg))
	}
}

// What parses by hand parses by generated code, and nothing panics.
func FuzzFrames(f *testing.F) {
	for _, list := range vectors() {
		for _, v := range list {
			f.Add(frameOf(f, v.msg, 3))
		}
	}
	f.Fuzz(func(t *testing.T, stream []byte) {
		in := newFrames(bytes.NewReader(stream))
		for {
			msg, payload, err := in.next()
			if err != nil {
				return
			}
			parseBoth(t, msg)
			if in.payload(make([]byte, min(payload, len(stream)+1))) != nil {
				return
			}
		}
	})
}

func parseBoth(t *testing.T, msg []byte) {
	kind, value, err := only(msg)
	if err != nil {
		if proto.Unmarshal(msg, &peerpb.Response{}) == nil {
			t.Errorf("generated code reads %x, we do not: %v", msg, err)
		}
		return
	}
	var l located
	var d data
	var r readMsg
	switch kind {
	case fieldLocated:
		if l.parse(value) == nil {
			_, _, _ = l.answer(len(l.lengths))
			if l2 := new(located); l2.parse(afterTag(t, l.append(nil))) != nil {
				t.Errorf("%+v does not parse again", l)
			}
		}
	case fieldData:
		if d.parse(value) == nil {
			if d2 := new(data); d2.parse(afterTag(t, d.append(nil))) != nil || *d2 != d {
				t.Errorf("%+v became %+v", d, d2)
			}
		}
		if r.parse(value) == nil {
			if r2 := new(readMsg); r2.parse(afterTag(t, r.append(nil))) != nil {
				t.Errorf("%+v does not parse again", r)
			}
		}
	}
}

func afterTag(t *testing.T, msg []byte) []byte {
	_, value, err := only(msg)
	if err != nil {
		t.Fatal(err)
	}
	return value
}
