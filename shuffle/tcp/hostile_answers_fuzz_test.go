package tcp_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

// framedAnswers makes frames of an input: two bytes of length of a message, one of its payload, and both.
func framedAnswers(input []byte) []byte {
	var stream []byte
	for len(input) >= 3 {
		n := min(int(binary.BigEndian.Uint16(input)), len(input)-3)
		payload := min(int(input[2]), len(input)-3-n)
		stream = binary.BigEndian.AppendUint32(stream, uint32(n))
		stream = binary.BigEndian.AppendUint32(stream, uint32(payload))
		end := 3 + n + payload
		stream = append(stream, input[3:end]...)
		input = input[end:]
	}
	return stream
}

func unframedAnswer(f *testing.F, m *peerpb.Response, payload int) []byte {
	msg, err := proto.Marshal(m)
	if err != nil {
		f.Fatal(err)
	}
	input := append(binary.BigEndian.AppendUint16(nil, uint16(len(msg))), byte(payload))
	return append(append(input, msg...), transporttest.Bytes(1, payload)...)
}

// liar listens, opens every application, and gives the first request of each connection the answer that is current then, whatever was asked,
// and theEnd.
func liar(t testing.TB, answer *atomic.Pointer[[]byte]) shuffle.PeerAddr {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			sock, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer func() { _ = sock.Close() }()
				abortive(t, sock)
				peer := listening{t: t, sock: sock, greeting: responseHello(t, 3, ownerID)}
				if peer.next() == nil {
					return
				}
				_, _ = sock.Write(slices.Concat(*answer.Load(), theEnd)) // the reader may end the connection meanwhile
				for peer.next() != nil {
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		conns.Wait()
	})
	return shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: uint16(l.Addr().(*net.TCPAddr).Port), DaemonID: ownerID}
}

// A daemon that has opened an application may answer whatever it likes: what was asked ends, once, and no memory is written but what was
// given for the answer.
func FuzzAnswers(f *testing.F) {
	located := func(payload int, l *peerpb.Located) []byte {
		return unframedAnswer(f, &peerpb.Response{Kind: &peerpb.Response_Located{Located: l}}, payload)
	}
	data := func(payload int, d *peerpb.Data) []byte {
		return unframedAnswer(f, &peerpb.Response{Kind: &peerpb.Response_Data{Data: d}}, payload)
	}
	pong := unframedAnswer(f, &peerpb.Response{Kind: &peerpb.Response_Pong{Pong: &peerpb.Ping{Nonce: 1}}}, 0)
	right := located(50, &peerpb.Located{Id: 2, Length: []uint64{50, 100}, Handle: []uint64{0, 1}, Crc32C: []uint32{1, 2}})
	for _, input := range [][]byte{
		right, append(right[:len(right):len(right)], right...), append(pong, right...),
		located(0, &peerpb.Located{Id: 2, Length: []uint64{1 << 63, 0}, Handle: []uint64{0, 0}}),
		located(200, &peerpb.Located{Id: 2, Length: []uint64{100, 100}, Handle: []uint64{0, 0}}),
		located(0, &peerpb.Located{Id: 2, Reason: []uint32{1 << 31, 3}}),
		located(0, &peerpb.Located{Id: 1}),
		data(100, &peerpb.Data{Id: 1}), data(101, &peerpb.Data{Id: 1}), data(99, &peerpb.Data{Id: 1}), data(0, &peerpb.Data{Id: 1, Reason: 3}),
		append(data(100, &peerpb.Data{Id: 1}), data(100, &peerpb.Data{Id: 1})...),
		unframedAnswer(f, &peerpb.Response{Kind: &peerpb.Response_Opened{Opened: &peerpb.Opened{Id: 1}}}, 0),
		unframedAnswer(f, &peerpb.Response{Kind: &peerpb.Response_Refused{Refused: &peerpb.Refused{Detail: "go\naway"}}}, 0),
		unframedAnswer(f, &peerpb.Response{Kind: &peerpb.Response_Hello{Hello: hello(3, ownerID)}}, 0),
		unframedAnswer(f, &peerpb.Response{}, 7),
	} {
		f.Add(input)
	}
	var answer atomic.Pointer[[]byte]
	peer := liar(quiet{f}, &answer) // for all inputs: listening anew for each of them would take most of the time
	opts := options(readerID)
	opts.Streams = 1
	transport := tcp.New(opts)
	f.Fuzz(func(t *testing.T, input []byte) {
		frames := framedAnswers(input)
		answer.Store(&frames)
		c, err := transport.Dial(t.Context(), peer)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		mem := bytes.Repeat([]byte{0xdb}, 500)
		ended := make(chan string, 10)
		c.Locate(&shuffle.LocateRequest{Blocks: []shuffle.BlockID{transporttest.ID(0), transporttest.ID(1)}, EagerBlock: 100}, mem[100:200:200],
			func(l []shuffle.Located, err error) {
				if err == nil && len(l) != 2 {
					t.Errorf("%d blocks of 2", len(l))
				}
				ended <- "locate"
			})
		c.Read([]shuffle.ReadRequest{{
			Ranges: []shuffle.Range{{Handle: 1, Length: 100}}, Dst: mem[300:400:400], Done: func(error) { ended <- "read" },
		}})
		var all [2]string
		for i := range all {
			select {
			case all[i] = <-ended:
			case <-time.After(20 * time.Second):
				t.Fatalf("what was asked does not end; %q did", all[:i])
			}
		}
		<-c.Closed()
		_ = c.Close()
		if len(ended) != 0 || all[0] == all[1] {
			t.Errorf("%q ended, and %d more", all, len(ended))
		}
		for _, part := range [][]byte{mem[:100], mem[200:300], mem[400:]} {
			if bytes.Count(part, []byte{0xdb}) != 100 {
				t.Error("memory beside what was given for an answer was written to")
			}
		}
	})
}
