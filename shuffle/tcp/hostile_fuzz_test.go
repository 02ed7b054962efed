package tcp_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"weft/internal/pb/blockpb"
	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/serve"
	"weft/shuffle/transporttest"
)

// theEnd is a frame's header that ends every connection: the other side closes it, and with abortive leaves no pair of ports in use for a
// minute, of which there are too few for a fuzz target.
var theEnd = bytes.Repeat([]byte{0xff}, 8)

// abortive makes sock's closing end the connection for both sides at once.
func abortive(t testing.TB, sock net.Conn) {
	t.Helper()
	if err := sock.(*net.TCPConn).SetLinger(0); err != nil { //nolint:forcetypeassert // a TCP connection
		t.Fatal(err)
	}
}

// framed makes frames without payload of an input: two bytes of length and a message each, so that a mutation of one message leaves the
// others whole. In them table stands for ownTable.
func framed(input []byte, table uint64) []byte {
	var stream []byte
	for len(input) >= 2 {
		n := min(int(binary.BigEndian.Uint16(input)), len(input)-2)
		m := owned(input[2:2+n], table)
		stream = append(binary.BigEndian.AppendUint64(stream, uint64(len(m))<<32), m...)
		input = input[2+n:]
	}
	return stream
}

// The high bits that an input's handles have for those of the connection that it is sent over; and those of another peer's, which has one block open.
const ownTable, otherTable = uint64(2), uint64(1)

// owned is a message in which table stands for ownTable, if it is a request at all.
func owned(message []byte, table uint64) []byte {
	m := new(peerpb.Request)
	if proto.Unmarshal(message, m) != nil {
		return message
	}
	if canonical, err := proto.Marshal(m); err != nil || !bytes.Equal(canonical, message) {
		return message // what is odd about it is to stay
	}
	changed := false
	for _, handles := range [][]uint64{m.GetRead().GetHandle(), m.GetRead().GetRelease(), m.GetRelease().GetHandle()} {
		for i, h := range handles {
			if h>>serve.TableBits == ownTable {
				handles[i] += (table - ownTable) << serve.TableBits
				changed = true
			}
		}
	}
	if changed {
		message, _ = proto.Marshal(m)
	}
	return message
}

// unframed is an input of which framed makes these messages.
func unframed[M proto.Message](f *testing.F, messages ...M) (input []byte) {
	for _, m := range messages {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		input = append(binary.BigEndian.AppendUint16(input, uint16(len(b))), b...)
	}
	return input
}

// quiet is a fuzz target for what outlives an input: it may neither log nor be a helper while one is tried.
type quiet struct{ testing.TB }

func (quiet) Logf(string, ...any) {}
func (quiet) Helper()             {}

// A daemon that has opened an application may ask for whatever it likes: its connection alone ends, and no block stays open for it.
func FuzzRequests(f *testing.F) {
	locate := func(open uint64, change func(*peerpb.Locate)) *peerpb.Request {
		l := &peerpb.Locate{Id: 1, Open: open, EagerBytes: 50, EagerBlock: 50, Blocks: &blockpb.Blocks{
			ShuffleId: []uint32{1, 1}, MapId: []uint64{0, 1}, ReduceStart: []uint32{7, 7}, ReduceEnd: []uint32{8, 8},
		}}
		change(l)
		return &peerpb.Request{Kind: &peerpb.Request_Locate{Locate: l}}
	}
	read := func(handle, offset, length uint64, release ...uint64) *peerpb.Request {
		return &peerpb.Request{Kind: &peerpb.Request_Read{Read: &peerpb.Read{
			Id: 2, Handle: []uint64{handle}, Offset: []uint64{offset}, Length: []uint64{length}, Release: release,
		}}}
	}
	first, other := ownTable<<serve.TableBits+1, otherTable<<serve.TableBits+1 // blocks that are held open from the start
	release := &peerpb.Request{Kind: &peerpb.Request_Release{Release: &peerpb.Release{Handle: []uint64{first, first, 0, ^uint64(0)}}}}
	same := func(*peerpb.Locate) {}
	for _, requests := range [][]*peerpb.Request{
		{locate(1, same), read(first, 0, 100, first), release, release},
		{locate(1, same), locate(1, same), read(first, 0, 1<<63), read(first, 99, 2)},
		{read(first, 0, 1), locate(1, same)},
		{release, read(other, 0, 1, other)},
		{locate(1, func(l *peerpb.Locate) { l.EagerBytes, l.EagerBlock = 1<<31, 1<<31 })},
		{locate(1, func(l *peerpb.Locate) { l.Blocks.MapId = nil })},
		{locate(1, func(l *peerpb.Locate) { l.Blocks.ReduceEnd[0] = 7 })},
		{locate(1, func(l *peerpb.Locate) { l.Parts, l.Invitation = true, true })},
		{locate(0, same)},
		{locate(2, same)},
		{{Kind: &peerpb.Request_Open{Open: &peerpb.Open{Id: 2, AppId: anApp.ID, Proof: make([]byte, 32)}}}, locate(2, same)},
		{{Kind: &peerpb.Request_Open{Open: &peerpb.Open{Id: 1, AppId: transporttest.GoneApp}}}},
		{{Kind: &peerpb.Request_Ping{Ping: &peerpb.Ping{Nonce: 1 << 63}}}},
		{{Kind: &peerpb.Request_Hello{Hello: hello(3, readerID)}}},
		{{}},
	} {
		f.Add(unframed(f, requests...))
	}
	g := guard(quiet{f}) // for all inputs, as is the other peer: a server for each of them would take most of the time
	g.src.Add(100, 5000)
	bystander := g.greet(quiet{f})
	abortive(quiet{f}, bystander.Conn)
	if handle := held(f, bystander, g.id); handle != other {
		f.Fatalf("handle %d, want %d", handle, other)
	}
	f.Fuzz(func(t *testing.T, input []byte) {
		bystander.t = t
		_ = bystander.SetDeadline(time.Now().Add(20 * time.Second))
		hostile := g.greet(t)
		abortive(t, hostile.Conn)
		table := held(t, hostile, g.id) >> serve.TableBits
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = hostile.Write(append(framed(input, table), theEnd...)) // the server may end the connection meanwhile
		}()
		if _, err := io.Copy(io.Discard, hostile); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the connection did not end")
		}
		<-sent
		for end := time.Now().Add(20 * time.Second); g.server.Conns() > 1 || g.src.Open() > 1; time.Sleep(100 * time.Microsecond) {
			if time.Now().After(end) {
				t.Fatalf("%d connections and %d open blocks are left of it", g.server.Conns()-1, g.src.Open()-1)
			}
		}
		g.log.forget()
		bystander.request(read(other, 0, 100))
		resp, n := answer(t, bystander)
		if resp.GetData() == nil || resp.GetData().GetReason() != 0 || n != 100 {
			t.Errorf("another peer's block: %v and %d bytes", resp, n)
		}
		if _, err := io.CopyN(io.Discard, bystander, int64(n)); err != nil {
			t.Error(err)
		}
	})
}

// held opens the application and has a block of it held open, whose handle it returns.
func held(t testing.TB, r *byHand, id shuffle.BlockID) uint64 {
	r.request(locateOf(r.open(anApp), id))
	resp, _ := answer(r.t, r)
	if len(resp.GetLocated().GetHandle()) != 1 {
		t.Fatalf("%v for a block", resp)
	}
	return resp.GetLocated().GetHandle()[0]
}
