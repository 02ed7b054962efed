package jvmbridge

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"weft/internal/pb/bridgepb"
)

const vectorDir = "../testdata/bridge"

// vector is a frame that the JVM's side wrote, and the message's fields as it printed them.
type vector struct {
	name, text string
	frame      []byte
}

// vectorKinds are the files with the message that each is about.
var vectorKinds = map[string]func() proto.Message{
	"to_daemon.txt": func() proto.Message { return &bridgepb.ToDaemon{} },
	"to_jvm.txt":    func() proto.Message { return &bridgepb.ToJvm{} },
}

// readVectors reads a file of testdata/bridge: vectors stand apart by empty lines, each a line "name hex" below the message in
// comments.
func readVectors(t testing.TB, file string) []vector {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(vectorDir, file))
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	for i, paragraph := range strings.Split(strings.TrimSpace(string(content)), "\n\n") {
		if i == 0 {
			continue // what the file is
		}
		var v vector
		for line := range strings.Lines(paragraph) {
			if text, ok := strings.CutPrefix(line, "#"); ok {
				v.text += text
				continue
			}
			name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
			if v.frame, err = hex.DecodeString(digits); err != nil || len(v.frame) == 0 {
				t.Fatalf("%s: line %q: %v", file, line, err)
			}
			v.name = name
		}
		all = append(all, v)
	}
	return all
}

// The two sides read and write the same bytes: what Java wrote has the fields that Java says it has, and is what Go writes for them; and
// there is a vector of every kind.
func TestVectors(t *testing.T) {
	for file, fresh := range vectorKinds {
		seen := map[string]bool{}
		for _, v := range readVectors(t, file) {
			got, want := fresh(), fresh()
			// Unknown in the text are the numbers of enum values, which Java prints beside their names.
			if err := (prototext.UnmarshalOptions{DiscardUnknown: true}).Unmarshal([]byte(v.text), want); err != nil {
				t.Errorf("%s: the text above it: %v", v.name, err)
				continue
			}
			if err := (&frameReader{r: bytes.NewReader(v.frame)}).read(got); err != nil || !proto.Equal(got, want) {
				t.Errorf("%s: read %v (%v), want %v", v.name, got, err, want)
			}
			if frame, err := appendFrame(nil, want); err != nil || !bytes.Equal(frame, v.frame) {
				t.Errorf("%s: written as %x (%v), want %x", v.name, frame, err, v.frame)
			}
			seen[kindOf(got)] = true
		}
		all := fresh().ProtoReflect().Descriptor().Oneofs().ByName("kind").Fields()
		for i := range all.Len() {
			if name := string(all.Get(i).Name()); !seen[name] {
				t.Errorf("%s has no vector of kind %s", file, name)
			}
		}
	}
}

func kindOf(m proto.Message) string {
	r := m.ProtoReflect()
	kind := r.WhichOneof(r.Descriptor().Oneofs().ByName("kind"))
	if kind == nil {
		return ""
	}
	return string(kind.Name())
}
