package jvmbridge

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
)

var update = flag.Bool("update", false, "write testdata/bridge anew")

const vectorDir = "../testdata/bridge"

// vectorHead explains the format to readers of the files; testdata/bridge is read by the Java tests too.
const vectorHead = `# One frame of every kind. Each vector is two lines: "name: " and the frame in hexadecimal, with its length; then two spaces and
# the same message in protobuf's text format. A side that reads the frame must get that message, and must write that frame for it.
# Written by: go test ./jvmbridge -run TestVectors -update
`

// vectors are the messages by file and name.
var vectors = map[string][]struct {
	name string
	m    proto.Message
}{
	"to_daemon.txt": {
		{"hello", &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Hello{Hello: &bridgepb.Hello{
			Version: 1, Features: 1<<63 | 5, AppId: "app-20261123-0001", AppToken: []byte("0123456789abcdef0123456789abcdef"), ExecutorId: "7",
			LocalDirs: []string{"/data/1/blockmgr-a", "/data/2/blockmgr-b"}, SoftwareVersion: "0.1.0",
		}}}},
		{"attach", &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Attach{Attach: &bridgepb.Attach{
			SessionId: 3, AttachToken: []byte{0, 1, 2, 0xff},
		}}}},
		{"register_map_output", &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_RegisterMapOutput{RegisterMapOutput: &bridgepb.RegisterMapOutput{
			ShuffleId: 4, MapId: 1 << 40, DataPath: "/data/1/blockmgr-a/0c/shuffle_4_1099511627776_0.data",
			IndexPath: "/data/1/blockmgr-a/30/shuffle_4_1099511627776_0.index", NumPartitions: 200,
		}}}},
		{"unregister_shuffle", &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_UnregisterShuffle{UnregisterShuffle: &bridgepb.UnregisterShuffle{
			ShuffleId: 2147483647,
		}}}},
		{"fetch", &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Fetch{Fetch: &bridgepb.Fetch{
			RequestId: 9, PeerAddress: []string{"10.0.0.2", "fd00::2"}, PeerPort: 7400, PeerDaemonId: []byte("sixteen bytes id"), ExecutorId: "2",
			Blocks: &blockpb.Blocks{
				ShuffleId: []uint32{4, 4}, MapId: []uint64{300, 1<<63 - 1}, ReduceStart: []uint32{0, 128}, ReduceEnd: []uint32{1, 140},
				Name: []string{"broadcast_3_piece0", "rdd_1_2"},
			},
			Delivery: bridgepb.Delivery_DELIVERY_PIECES, TimeoutMs: 60000,
		}}}},
		{"cancel", &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Cancel{Cancel: &bridgepb.Cancel{RequestId: 9}}}},
		{"release", &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Release{Release: &bridgepb.Release{
			Lease: []uint64{1, 1 << 35}, Count: []uint32{3, 1},
		}}}},
		{"block_opened_inline", &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_BlockOpened{BlockOpened: &bridgepb.BlockOpened{
			UpcallId: 5, Result: &bridgepb.BlockOpened_Inline{Inline: []byte{0xca, 0xfe, 0}},
		}}}},
		{"block_opened_inline_empty", &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_BlockOpened{BlockOpened: &bridgepb.BlockOpened{
			UpcallId: 5, Result: &bridgepb.BlockOpened_Inline{Inline: []byte{}},
		}}}},
		{"block_opened_length", &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_BlockOpened{BlockOpened: &bridgepb.BlockOpened{
			UpcallId: 6, Result: &bridgepb.BlockOpened_Length{Length: 14991946},
		}}}},
		{"block_opened_file", &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_BlockOpened{BlockOpened: &bridgepb.BlockOpened{
			UpcallId: 7, Result: &bridgepb.BlockOpened_File{File: &bridgepb.FileRange{Path: "/data/1/blockmgr-a/0c/rdd_1_2", Offset: 16, Length: 5 << 30}},
		}}}},
		{"block_opened_error", &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_BlockOpened{BlockOpened: &bridgepb.BlockOpened{
			UpcallId: 8, Result: &bridgepb.BlockOpened_Error{Error: &bridgepb.UpcallError{
				Reason: blockpb.Reason_REASON_NOT_FOUND, Detail: "no block rdd_1_2 — gone",
			}},
		}}}},
		{"block_copied", &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_BlockCopied{BlockCopied: &bridgepb.BlockCopied{UpcallId: 6}}}},
		{"block_copied_error", &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_BlockCopied{BlockCopied: &bridgepb.BlockCopied{
			UpcallId: 6, Error: "the block is shorter than it said",
		}}}},
		{"fallback_report", &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_FallbackReport{FallbackReport: &bridgepb.FallbackReport{
			Reason: blockpb.Reason_REASON_DISABLED, Blocks: 12, Bytes: 1 << 33,
		}}}},
	},
	"to_jvm.txt": {
		{"welcome", &bridgepb.ToJvm{Kind: &bridgepb.ToJvm_Welcome{Welcome: &bridgepb.Welcome{
			Version: 1, Features: 5, SessionId: 3, AttachToken: []byte{0, 1, 2, 0xff}, DaemonId: []byte("sixteen bytes id"),
			PeerAddress: []string{"10.0.0.1"}, PeerPort: 7400, MaxLeaseBytes: 1 << 30, SoftwareVersion: "0.1.0",
		}}}},
		{"refused", &bridgepb.ToJvm{Kind: &bridgepb.ToJvm_Refused{Refused: &bridgepb.Refused{Detail: "use a jar and a daemon of one release"}}}},
		{"attached", &bridgepb.ToJvm{Kind: &bridgepb.ToJvm_Attached{Attached: &bridgepb.Attached{}}}},
		{"add_segment_receive", &bridgepb.ToJvm{Kind: &bridgepb.ToJvm_AddSegment{AddSegment: &bridgepb.AddSegment{
			Segment: 0, Kind: bridgepb.SegmentKind_SEGMENT_RECEIVE, Length: 64 << 20,
		}}}},
		{"add_segment_upcall", &bridgepb.ToJvm{Kind: &bridgepb.ToJvm_AddSegment{AddSegment: &bridgepb.AddSegment{
			Segment: 1, Kind: bridgepb.SegmentKind_SEGMENT_UPCALL, Length: 1 << 30,
		}}}},
		{"drop_segment", &bridgepb.ToJvm{Kind: &bridgepb.ToJvm_DropSegment{DropSegment: &bridgepb.DropSegment{Segment: 2}}}},
		{"delivered_whole", &bridgepb.ToJvm{Kind: &bridgepb.ToJvm_Delivered{Delivered: &bridgepb.Delivered{
			RequestId: 9, Lease: 1 << 35, Segment: 2, Block: []uint32{0, 2, 200}, Offset: []uint64{64, 1064, 1 << 29}, Length: []uint64{1000, 0, 1 << 20},
			Transport: "tcp",
		}}}},
		{"delivered_empty", &bridgepb.ToJvm{Kind: &bridgepb.ToJvm_Delivered{Delivered: &bridgepb.Delivered{
			RequestId: 9, Block: []uint32{0}, Offset: []uint64{0}, Length: []uint64{0}, Transport: "mem",
		}}}},
		{"delivered_piece", &bridgepb.ToJvm{Kind: &bridgepb.ToJvm_Delivered{Delivered: &bridgepb.Delivered{
			RequestId: 9, Lease: 4, Segment: 0, Block: []uint32{0}, Offset: []uint64{4096}, Length: []uint64{1 << 20},
			PieceOffset: 2 << 30, BlockLength: 3 << 30, Transport: "rdma",
		}}}},
		{"failed", &bridgepb.ToJvm{Kind: &bridgepb.ToJvm_Failed{Failed: &bridgepb.Failed{
			RequestId: 9, Block: []uint32{1, 300}, Reason: blockpb.Reason_REASON_CHECKSUM, Detail: "2 blocks of executor 2",
		}}}},
		{"open_block", &bridgepb.ToJvm{Kind: &bridgepb.ToJvm_OpenBlock{OpenBlock: &bridgepb.OpenBlock{UpcallId: 6, Name: "test_1weightBytes0"}}}},
		{"copy_block", &bridgepb.ToJvm{Kind: &bridgepb.ToJvm_CopyBlock{CopyBlock: &bridgepb.CopyBlock{UpcallId: 6, Segment: 1, Offset: 1 << 26}}}},
		{"close_block", &bridgepb.ToJvm{Kind: &bridgepb.ToJvm_CloseBlock{CloseBlock: &bridgepb.CloseBlock{UpcallId: 6}}}},
	},
}

// vector is one as the file has it.
type vector struct {
	file, name, text string
	frame            []byte
}

func readVectors(t testing.TB) []vector {
	t.Helper()
	var all []vector
	for file := range vectors {
		content, err := os.ReadFile(filepath.Join(vectorDir, file))
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(bytes.NewReader(content))
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "#") {
				continue
			}
			name, digits, ok := strings.Cut(lines.Text(), ": ")
			frame, err := hex.DecodeString(digits)
			if !ok || err != nil || !lines.Scan() || !strings.HasPrefix(lines.Text(), "  ") {
				t.Fatalf("%s: vector %q: %v", file, name, err)
			}
			all = append(all, vector{file, name, lines.Text()[2:], frame})
		}
	}
	return all
}

func empty(file string) proto.Message {
	if file == "to_daemon.txt" {
		return &bridgepb.ToDaemon{}
	}
	return &bridgepb.ToJvm{}
}

func writeVectors(t *testing.T) {
	for file, messages := range vectors {
		out := bytes.NewBufferString(vectorHead)
		for _, v := range messages {
			frame, err := appendFrame(nil, v.m)
			if err != nil {
				t.Fatal(err)
			}
			text := prototext.MarshalOptions{}.Format(v.m)
			for strings.Contains(text, "  ") { // which the package puts in at random
				text = strings.ReplaceAll(text, "  ", " ")
			}
			fmt.Fprintf(out, "%s: %x\n  %s\n", v.name, frame, text)
		}
		if err := os.WriteFile(filepath.Join(vectorDir, file), out.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestVectors(t *testing.T) {
	if *update {
		writeVectors(t)
	}
	found := map[string]vector{}
	kinds := map[string]map[string]bool{}
	for _, v := range readVectors(t) {
		found[v.file+v.name] = v
	}
	for file, messages := range vectors {
		kinds[file] = map[string]bool{}
		for _, want := range messages {
			v, ok := found[file+want.name]
			if !ok {
				t.Errorf("%s has no vector %s: run with -update", file, want.name)
				continue
			}
			delete(found, file+want.name)
			got, text := empty(file), empty(file)
			if err := (&frameReader{r: bytes.NewReader(v.frame)}).read(got); err != nil || !proto.Equal(got, want.m) {
				t.Errorf("%s: read %v (%v), want %v", v.name, got, err, want.m)
			}
			if err := prototext.Unmarshal([]byte(v.text), text); err != nil || !proto.Equal(text, want.m) {
				t.Errorf("%s: the text says %v (%v), want %v", v.name, text, err, want.m)
			}
			if frame, err := appendFrame(nil, want.m); err != nil || !bytes.Equal(frame, v.frame) {
				t.Errorf("%s: written as %x (%v), want %x", v.name, frame, err, v.frame)
			}
			kinds[file][kindOf(got)] = true
		}
	}
	for _, v := range found {
		t.Errorf("%s: vector %s is in no test", v.file, v.name)
	}
	for file, seen := range kinds {
		all := empty(file).ProtoReflect().Descriptor().Oneofs().ByName("kind").Fields()
		for i := range all.Len() {
			if name := string(all.Get(i).Name()); !seen[name] {
				t.Errorf("%s has no vector of kind %s", file, name)
			}
		}
	}
}

func kindOf(m proto.Message) string {
	r := m.ProtoReflect()
	return string(r.WhichOneof(r.Descriptor().Oneofs().ByName("kind")).Name())
}
