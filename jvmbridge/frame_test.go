package jvmbridge

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"google.golang.org/protobuf/proto"

	"weft/internal/pb/bridgepb"
)

func TestFramesInOnePieceAndByteByByte(t *testing.T) {
	var stream []byte
	var want []*bridgepb.ToDaemon
	for _, n := range []int{0, 1, 1000, bufferKept, 3*bufferKept + 17} {
		m := &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_BlockOpened{BlockOpened: &bridgepb.BlockOpened{
			UpcallId: uint64(n), Result: &bridgepb.BlockOpened_Inline{Inline: bytes.Repeat([]byte{7}, n)},
		}}}
		want = append(want, m)
		var err error
		if stream, err = appendFrame(stream, m); err != nil {
			t.Fatal(err)
		}
	}
	for name, r := range map[string]io.Reader{
		"one piece": bytes.NewReader(stream), "byte by byte": iotest.OneByteReader(bytes.NewReader(stream)),
	} {
		in := &frameReader{r: r}
		for i, m := range want {
			var got bridgepb.ToDaemon
			if err := in.read(&got); err != nil || !proto.Equal(&got, m) {
				t.Fatalf("%s: frame %d: %v", name, i, err)
			}
		}
		if err := in.read(&bridgepb.ToDaemon{}); !errors.Is(err, io.EOF) {
			t.Errorf("%s: at the end: %v", name, err)
		}
	}
}

func TestTornFrames(t *testing.T) {
	whole, err := appendFrame(nil, &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Cancel{Cancel: &bridgepb.Cancel{RequestId: 1 << 40}}})
	if err != nil {
		t.Fatal(err)
	}
	for n := 1; n < len(whole); n++ {
		if err := (&frameReader{r: bytes.NewReader(whole[:n])}).read(&bridgepb.ToDaemon{}); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
}

// A length costs memory only as bytes come.
func TestALengthAloneCostsLittle(t *testing.T) {
	in := &frameReader{r: bytes.NewReader(binary.BigEndian.AppendUint32(nil, maxFrame))}
	if err := in.read(&bridgepb.ToDaemon{}); !errors.Is(err, io.ErrUnexpectedEOF) || cap(in.buf) > bufferKept {
		t.Errorf("%v with a buffer of %d bytes", err, cap(in.buf))
	}
	in = &frameReader{r: bytes.NewReader(binary.BigEndian.AppendUint32(nil, maxFrame+1))}
	if err := in.read(&bridgepb.ToDaemon{}); err == nil || errors.Is(err, io.ErrUnexpectedEOF) || !strings.Contains(err.Error(), "16777217") {
		t.Errorf("a frame that is too long: %v", err)
	}
}

func TestMayConnect(t *testing.T) {
	for _, test := range []struct {
		daemon, client uint32
		ok             bool
	}{{0, 0, true}, {0, 1000, true}, {1000, 1000, true}, {1000, 1001, false}, {1000, 0, false}} {
		if err := mayConnect(test.daemon, test.client); (err == nil) != test.ok {
			t.Errorf("daemon of %d, client of %d: %v", test.daemon, test.client, err)
		}
	}
}

// What parses is written again as the same message; nothing panics or reads beyond its input.
func FuzzFrames(f *testing.F) {
	for file := range vectorKinds {
		for _, v := range readVectors(f, file) {
			f.Add(v.frame)
		}
	}
	f.Add(append(binary.BigEndian.AppendUint32(nil, maxFrame), "short"...))
	f.Fuzz(func(t *testing.T, stream []byte) {
		for _, fresh := range []func() proto.Message{
			func() proto.Message { return &bridgepb.ToDaemon{} }, func() proto.Message { return &bridgepb.ToJvm{} },
		} {
			in := &frameReader{r: bytes.NewReader(stream)}
			for {
				m := fresh()
				if in.read(m) != nil {
					break
				}
				again, err := appendFrame(nil, m)
				if err != nil {
					t.Fatalf("a message that parsed can't be written: %v", err)
				}
				m2 := fresh()
				if err := (&frameReader{r: bytes.NewReader(again)}).read(m2); err != nil || !proto.Equal(m, m2) {
					t.Fatalf("%v: %v became %v", err, m, m2)
				}
			}
		}
	})
}
