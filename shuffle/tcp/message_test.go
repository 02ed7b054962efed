package tcp

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"weft/internal/pb/blockpb"
	"weft/internal/pb/peerpb"
)

var update = flag.Bool("update", false, "write testdata/peer anew")

func numbers[T number](rng *rand.Rand, n int) []T {
	list := make([]T, n)
	for i := range list {
		list[i] = T(rng.Uint64() >> rng.IntN(64))
	}
	return list
}

// What is written and read by hand is what generated code writes and reads.
func TestMessagesAreThoseOfTheSchema(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // a test
	var l located
	var d data
	var r readMsg
	for range 500 {
		n := rng.IntN(40) * rng.IntN(2)
		pl := &peerpb.Located{
			Id: rng.Uint64() >> rng.IntN(64), Length: numbers[uint64](rng, n), Crc32C: numbers[uint32](rng, n*rng.IntN(2)),
			Handle: numbers[uint64](rng, n),
		}
		if rng.IntN(2) == 1 {
			pl.Reason = numbers[uint32](rng, n)
			for i := range n {
				pl.Error = append(pl.Error, strings.Repeat("é", i%3))
			}
		}
		if rng.IntN(2) == 1 {
			parts := rng.IntN(9)
			pl.PartCount, pl.PartAddr, pl.PartKey = numbers[uint32](rng, n), numbers[uint64](rng, parts), numbers[uint32](rng, parts)
			pl.PartLength, pl.Invitation = numbers[uint64](rng, parts), []byte(strings.Repeat("\xff", rng.IntN(200)))
		}
		checkLocated(t, &l, pl)
		pd := &peerpb.Data{Id: rng.Uint64() >> rng.IntN(64), Reason: uint32(rng.IntN(20)), Error: strings.Repeat("x", rng.IntN(300)*rng.IntN(2))}
		checkData(t, &d, pd)
		pr := &peerpb.Read{
			Id: rng.Uint64() >> rng.IntN(64), Handle: numbers[uint64](rng, n), Offset: numbers[uint64](rng, n), Length: numbers[uint64](rng, n),
			Release: numbers[uint64](rng, rng.IntN(3)),
		}
		checkRead(t, &r, pr)
	}
}

func body(t *testing.T, m proto.Message) (whole, value []byte) {
	t.Helper()
	whole, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, value, err = only(whole); err != nil {
		t.Fatal(err)
	}
	return whole, value
}

func checkLocated(t *testing.T, m *located, pb *peerpb.Located) {
	t.Helper()
	whole, value := body(t, &peerpb.Response{Kind: &peerpb.Response_Located{Located: pb}})
	if err := m.parse(value); err != nil {
		t.Fatal(err)
	}
	if m.id != pb.Id || !slices.Equal(m.lengths, pb.Length) || !slices.Equal(m.crcs, pb.Crc32C) || !slices.Equal(m.handles, pb.Handle) ||
		!slices.Equal(m.reasons, pb.Reason) || !slices.Equal(m.errors, pb.Error) || !slices.Equal(m.partCounts, pb.PartCount) ||
		!slices.Equal(m.partAddrs, pb.PartAddr) || !slices.Equal(m.partKeys, pb.PartKey) || !slices.Equal(m.partLengths, pb.PartLength) ||
		m.invitation != string(pb.Invitation) {
		t.Fatalf("read %+v, want %v", m, pb)
	}
	if got := m.append(nil); !bytes.Equal(got, whole) {
		t.Fatalf("wrote %x, want %x", got, whole)
	}
}

func checkData(t *testing.T, m *data, pb *peerpb.Data) {
	t.Helper()
	whole, value := body(t, &peerpb.Response{Kind: &peerpb.Response_Data{Data: pb}})
	if err := m.parse(value); err != nil {
		t.Fatal(err)
	}
	if m.id != pb.Id || m.reason != pb.Reason || m.err != pb.Error {
		t.Fatalf("read %+v, want %v", m, pb)
	}
	if got := m.append(nil); !bytes.Equal(got, whole) {
		t.Fatalf("wrote %x, want %x", got, whole)
	}
}

func checkRead(t *testing.T, m *readMsg, pb *peerpb.Read) {
	t.Helper()
	whole, value := body(t, &peerpb.Request{Kind: &peerpb.Request_Read{Read: pb}})
	if err := m.parse(value); err != nil {
		t.Fatal(err)
	}
	if m.id != pb.Id || !slices.Equal(m.handles, pb.Handle) || !slices.Equal(m.offsets, pb.Offset) || !slices.Equal(m.lengths, pb.Length) ||
		!slices.Equal(m.release, pb.Release) {
		t.Fatalf("read %+v, want %v", m, pb)
	}
	if got := m.append(nil); !bytes.Equal(got, whole) {
		t.Fatalf("wrote %x, want %x", got, whole)
	}
}

// vector is a message with values in every field, under the name of its vector.
type vector struct {
	name string
	msg  proto.Message
}

const big = 0x7eddccbbaa998810

func sequence(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

func vectors() map[string][]vector {
	hello := &peerpb.Hello{Version: 3, Features: big, DaemonId: sequence(16), Group: bytes.Repeat([]byte{7}, groupLen), SoftwareVersion: "0.1.0", Nonce: sequence(32)}
	request := func(name string, r *peerpb.Request) vector { return vector{name, r} }
	response := func(name string, r *peerpb.Response) vector { return vector{name, r} }
	return map[string][]vector{
		"requests.txt": {
			request("hello", &peerpb.Request{Kind: &peerpb.Request_Hello{Hello: hello}}),
			request("open", &peerpb.Request{Kind: &peerpb.Request_Open{Open: &peerpb.Open{Id: big, AppId: "app-20261123-0001", Proof: sequence(32)}}}),
			request("locate", &peerpb.Request{Kind: &peerpb.Request_Locate{Locate: &peerpb.Locate{
				Id: big, Open: big - 1, ExecutorId: "7", EagerBytes: 262144, EagerBlock: 32768,
				Blocks: &blockpb.Blocks{
					ShuffleId: []uint32{3, 3}, MapId: []uint64{big, 0}, ReduceStart: []uint32{0, 5}, ReduceEnd: []uint32{1, 200},
					Name: []string{"broadcast_1_piece0", "rdd_4_2"},
				},
			}}}),
			request("locate_parts", &peerpb.Request{Kind: &peerpb.Request_Locate{Locate: &peerpb.Locate{
				Id: 3, Open: 1, ExecutorId: "7", Parts: true, Invitation: true,
				Blocks: &blockpb.Blocks{ShuffleId: []uint32{3}, MapId: []uint64{1}, ReduceStart: []uint32{0}, ReduceEnd: []uint32{1}},
			}}}),
			request("read", &peerpb.Request{Kind: &peerpb.Request_Read{Read: &peerpb.Read{
				Id: 2, Handle: []uint64{1, big}, Offset: []uint64{0, 3 << 30}, Length: []uint64{1048576, 1}, Release: []uint64{1},
			}}}),
			request("release", &peerpb.Request{Kind: &peerpb.Request_Release{Release: &peerpb.Release{Handle: []uint64{1, big}}}}),
			request("ping", &peerpb.Request{Kind: &peerpb.Request_Ping{Ping: &peerpb.Ping{Nonce: big}}}),
		},
		"responses.txt": {
			response("hello", &peerpb.Response{Kind: &peerpb.Response_Hello{Hello: hello}}),
			response("opened", &peerpb.Response{Kind: &peerpb.Response_Opened{Opened: &peerpb.Opened{Id: big, Proof: sequence(32)}}}),
			response("opened_not", &peerpb.Response{Kind: &peerpb.Response_Opened{Opened: &peerpb.Opened{
				Id: 2, Reason: uint32(blockpb.Reason_REASON_PEER_REFUSED), Error: "another secret",
			}}}),
			response("located", &peerpb.Response{Kind: &peerpb.Response_Located{Located: &peerpb.Located{
				Id: big, Length: []uint64{100, 3 << 30, 0}, Crc32C: []uint32{0xdeadbeef, 1, 0}, Handle: []uint64{0, 1, 0},
			}}}),
			response("located_failed", &peerpb.Response{Kind: &peerpb.Response_Located{Located: &peerpb.Located{
				Id: 2, Length: []uint64{0, 5}, Crc32C: []uint32{0, 7}, Handle: []uint64{0, 0}, Reason: []uint32{8, 0}, Error: []string{"no such block", ""},
			}}}),
			response("located_parts", &peerpb.Response{Kind: &peerpb.Response_Located{Located: &peerpb.Located{
				Id: 3, Length: []uint64{100, 3 << 30, 0}, Crc32C: []uint32{1, 2, 0}, Handle: []uint64{1, 2, 0}, PartCount: []uint32{1, 2, 0},
				PartAddr: []uint64{big, 1 << 12, big}, PartKey: []uint32{0xfffffff0, 7, 7}, PartLength: []uint64{100, 1 << 30, 2 << 30},
				Invitation: sequence(20),
			}}}),
			response("data", &peerpb.Response{Kind: &peerpb.Response_Data{Data: &peerpb.Data{Id: big}}}),
			response("data_failed", &peerpb.Response{Kind: &peerpb.Response_Data{Data: &peerpb.Data{
				Id: 2, Reason: uint32(blockpb.Reason_REASON_BAD_MAP_OUTPUT), Error: "the file has 10 bytes",
			}}}),
			response("pong", &peerpb.Response{Kind: &peerpb.Response_Pong{Pong: &peerpb.Ping{Nonce: big}}}),
			response("refused", &peerpb.Response{Kind: &peerpb.Response_Refused{Refused: &peerpb.Refused{Detail: "version 2 is not spoken here"}}}),
		},
	}
}

// frameOf is a message as it goes over the wire, without the payload that the header promises.
func frameOf(t testing.TB, m proto.Message, payload int) []byte {
	t.Helper()
	b, err := marshal(newFrame(nil), m)
	if err == nil {
		err = seal(b, payload)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The bytes of every message are fixed: a change of the protocol shows here.
func TestVectors(t *testing.T) {
	for file, list := range vectors() {
		var b strings.Builder
		b.WriteString("# Frames between daemons (proto/peer.proto): header and message, a line `name hex` each.\n# Written by `go test ./shuffle/tcp -run TestVectors -update`.\n\n")
		for _, v := range list {
			fmt.Fprintf(&b, "%s %x\n", v.name, frameOf(t, v.msg, 0))
		}
		path := filepath.Join("..", "..", "testdata", "peer", file)
		if *update {
			if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != string(want) {
			t.Errorf("%s differs from the messages of the schema:\n%s", path, b.String())
		}
	}
}

// Parsing a vector gives its message back, by hand where messages are read by hand.
func TestVectorsParse(t *testing.T) {
	for file, list := range vectors() {
		text, err := os.ReadFile(filepath.Join("..", "..", "testdata", "peer", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(string(text), "\n") {
			name, digits, ok := strings.Cut(line, " ")
			if !ok || name == "#" {
				continue
			}
			raw, err := hex.DecodeString(digits)
			if err != nil {
				t.Fatal(err)
			}
			i := slices.IndexFunc(list, func(v vector) bool { return v.name == name })
			msg, payload, err := newFrames(bytes.NewReader(raw)).next()
			if err != nil || payload != 0 {
				t.Fatalf("%s: payload %d, %v", name, payload, err)
			}
			got := list[i].msg.ProtoReflect().New().Interface()
			if err := proto.Unmarshal(msg, got); err != nil || !proto.Equal(got, list[i].msg) {
				t.Errorf("%s: %v (%v)", name, got, err)
			}
			switch m := got.(type) {
			case *peerpb.Request:
				if m.GetRead() != nil {
					checkRead(t, new(readMsg), m.GetRead())
				}
			case *peerpb.Response:
				if m.GetLocated() != nil {
					checkLocated(t, new(located), m.GetLocated())
				}
				if m.GetData() != nil {
					checkData(t, new(data), m.GetData())
				}
			}
		}
	}
}
