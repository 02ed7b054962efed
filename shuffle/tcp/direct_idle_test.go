package tcp_test

import (
	"fmt"
	"net"
	"testing"
	"time"

	"weft/internal/metrics"
	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

// exposing is an owner of one block, of which it tells whoever asks where it lies. It answers no Read; told is what was read over the streams.
func exposing(t *testing.T, direct shuffle.Direct, data []byte) (peer shuffle.PeerAddr, told func() []string) {
	t.Helper()
	parts, hide, err := direct.Expose(anApp, &shuffle.Found{Length: int64(len(data)), Mem: data})
	if err != nil {
		t.Fatal(err)
	}
	invitation, withdraw, err := direct.Invite(anApp)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	reads := make(chan []string, 1)
	t.Cleanup(func() {
		_ = l.Close()
		withdraw()
		hide()
	})
	serve := func(sock net.Conn) (reads []string) {
		defer func() { _ = sock.Close() }()
		h := hello(3, ownerID)
		h.Features = 1
		peer := listening{t: t, sock: sock, greeting: frame(t, &peerpb.Response{Kind: &peerpb.Response_Hello{Hello: h}}, 0)}
		for {
			req := peer.next()
			switch {
			case req == nil:
				return reads
			case req.GetLocate() != nil:
				a := &peerpb.Located{
					Id: req.GetLocate().GetId(), Length: []uint64{uint64(len(data))}, Handle: []uint64{1}, PartCount: []uint32{uint32(len(parts))},
					Invitation: invitation,
				}
				for _, p := range parts {
					a.PartAddr, a.PartKey = append(a.PartAddr, p.Addr), append(a.PartKey, p.Key)
					a.PartLength = append(a.PartLength, uint64(p.Length))
				}
				_, _ = sock.Write(frame(t, &peerpb.Response{Kind: &peerpb.Response_Located{Located: a}}, 0))
			case req.GetRead() != nil:
				r := req.GetRead()
				reads = append(reads, fmt.Sprint(r.GetHandle(), r.GetOffset(), r.GetLength(), r.GetRelease()))
			}
		}
	}
	go func() {
		for i := range 2 {
			sock, err := l.Accept()
			if err != nil {
				reads <- nil
				return
			}
			go func() {
				if all := serve(sock); i == 1 {
					reads <- all
				}
			}()
		}
	}()
	peer = shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: uint16(l.Addr().(*net.TCPAddr).Port), DaemonID: ownerID}
	return peer, func() []string { return <-reads }
}

// The owner gives up what nobody reads for five minutes. Of what is read directly it hears now and then, so that it does not.
func TestOwnerHearsOfDirectReads(t *testing.T) {
	direct, data := transporttest.NewDirect(), transporttest.Bytes(1, 5000)
	peer, told := exposing(t, direct, data)
	opts := options(readerID)
	opts.Streams, opts.Direct, opts.Metrics = 1, direct, metrics.NewSet()
	r := &directRig{t: t, direct: direct, conn: dialWith(t, opts, peer)}
	block := r.locate(anApp, transporttest.ID(0))[0]
	for _, age := range []time.Duration{0, 1, 0, 0, 1} {
		tcp.Age(r.conn, age*tcp.HandleIdle/3)
		r.begin(false, block)[0].check(data, transporttest.DirectName)
	}
	tcp.Age(r.conn, tcp.HandleIdle) // it may have given the memory to another block
	r.begin(false, block)
	_ = r.conn.Close()
	if got := told(); fmt.Sprint(got) != "[[1] [0] [0] [] [1] [0] [0] [] [1] [0] [5000] []]" {
		t.Errorf("read over the stream: %q, want nothing of the block, twice, and then all of it", got)
	}
}
