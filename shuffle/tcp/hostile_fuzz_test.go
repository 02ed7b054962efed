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
	"weft/shuffle/transporttest"
)

// theEnd is a frame's header that ends every connection: the other side closes it, and with abortive leaves no pair of ports in use for a
// minute, of which there are too few for a fuzz target.
var theEnd = bytes.Repeat([]byte{0xff}, 8)

// abortive makes sock's closing end the connection for both sides at once.
func abortive(t *testing.T, sock net.Conn) {
	t.Helper()
	if err := sock.(*net.TCPConn).SetLinger(0); err != nil { //nolint:forcetypeassert // a TCP connection
		t.Fatal(err)
	}
}

// framed makes frames without payload of an input: two bytes of length and a message each, so that a mutation of one message leaves the
// others whole.
func framed(input []byte) []byte {
	var stream []byte
	for len(input) >= 2 {
		n := min(int(binary.BigEndian.Uint16(input)), len(input)-2)
		stream = append(binary.BigEndian.AppendUint64(stream, uint64(n)<<32), input[2:2+n]...)
		input = input[2+n:]
	}
	return stream
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
	first := uint64(2)<<40 + 1 // the first handle of a server's second connection; what is lower by 1<<40 is of the first
	release := &peerpb.Request{Kind: &peerpb.Request_Release{Release: &peerpb.Release{Handle: []uint64{first, first, 0, ^uint64(0)}}}}
	same := func(*peerpb.Locate) {}
	for _, requests := range [][]*peerpb.Request{
		{locate(1, same), read(first, 0, 100, first), release, release},
		{locate(1, same), locate(1, same), read(first, 0, 1<<63), read(first, 99, 2)},
		{read(first, 0, 1), locate(1, same)},
		{release, read(first-1<<40, 0, 1, first-1<<40)},
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
	f.Fuzz(func(t *testing.T, input []byte) {
		g := guard(t)
		g.src.Add(100, 5000)
		bystander := g.greet(t)
		open := bystander.open(anApp)
		hostile := g.greet(t)
		hostile.open(anApp)
		abortive(t, bystander.Conn)
		abortive(t, hostile.Conn)
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = hostile.Write(append(framed(input), theEnd...)) // the server may end the connection meanwhile
		}()
		if _, err := io.Copy(io.Discard, hostile); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the connection did not end")
		}
		<-sent
		for end := time.Now().Add(20 * time.Second); g.server.Conns() > 1 || g.src.Open() > 0; time.Sleep(100 * time.Microsecond) {
			if time.Now().After(end) {
				t.Fatalf("%d connections and %d open blocks are left of it", g.server.Conns()-1, g.src.Open())
			}
		}
		bystander.request(locateOf(open, g.id))
		if resp, _ := answer(t, bystander); resp.GetLocated() == nil || resp.GetLocated().GetReason() != nil {
			t.Errorf("another peer's connection: %v", resp)
		}
	})
}
