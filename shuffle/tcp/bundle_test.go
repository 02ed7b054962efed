package tcp_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"weft/internal/pb/blockpb"
	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

// record greets as many connections and tells, when each has ended, what was asked over it: first over the one that was opened first. It
// answers nothing. Connection number hangUp ends after one request, when it is told to.
func record(t *testing.T, conns, hangUp int, now <-chan struct{}) (shuffle.PeerAddr, func() [][]*peerpb.Request) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	greeting := responseHello(t, 1, ownerID)
	asked := make([]chan []*peerpb.Request, conns)
	for i := range asked {
		asked[i] = make(chan []*peerpb.Request, 1)
	}
	go func() {
		defer func() { _ = l.Close() }()
		for i := range asked {
			sock, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = sock.Close() }()
				var all []*peerpb.Request
				for i != hangUp || len(all) == 0 {
					req := new(peerpb.Request)
					if _, err := readFrame(sock, req); err != nil {
						break
					}
					if req.GetHello() != nil {
						_, _ = sock.Write(greeting)
					} else {
						all = append(all, req)
					}
				}
				if i == hangUp {
					<-now
				}
				asked[i] <- all
			}()
		}
	}()
	return shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: uint16(l.Addr().(*net.TCPAddr).Port), DaemonID: ownerID}, func() [][]*peerpb.Request {
		var all [][]*peerpb.Request
		for _, a := range asked {
			all = append(all, <-a)
		}
		return all
	}
}

// readsOf are reads of these lengths, of handles 1, 2, and so on, whose ends go to the channel.
func readsOf(lengths ...int) ([]shuffle.ReadRequest, chan error) {
	ended := make(chan error, len(lengths))
	reqs := make([]shuffle.ReadRequest, len(lengths))
	for i, n := range lengths {
		reqs[i] = shuffle.ReadRequest{
			Ranges: []shuffle.Range{{Handle: uint64(i + 1), Length: int64(n)}}, Dst: make([]byte, n), Done: func(err error) { ended <- err },
		}
	}
	return reqs, ended
}

// Requests go over the first connection; each read goes over the first of the others that has less than 8 MiB to receive, else over that
// which has least.
func TestReadsAreSpread(t *testing.T) {
	peer, asked := record(t, 4, -1, nil)
	c := dial(t, peer)
	c.Locate(&shuffle.LocateRequest{Blocks: []shuffle.BlockID{transporttest.ID(0)}}, nil, func([]shuffle.Located, error) {})
	const m = 1 << 20
	reqs, _ := readsOf(8*m, 4*m, 5*m, 8*m, m, m, m)
	c.Read(reqs[:3])
	c.Read(reqs[3:])
	c.Release([]uint64{7})
	_ = c.Close()
	all := asked()
	if first := all[0]; len(first) != 2 || first[0].GetLocate() == nil || first[1].GetRelease() == nil {
		t.Errorf("over the first connection: %v, want the Locate and the Release", first)
	}
	var spread []string
	for _, stream := range all[1:] {
		var handles []byte
		for _, r := range stream {
			handles = append(handles, '0'+byte(r.GetRead().GetHandle()[0]))
		}
		spread = append(spread, string(handles))
	}
	slices.Sort(spread)
	if got := strings.Join(spread, " "); got != "157 23 46" {
		t.Errorf("handles read over the streams: %q, want those of 10, 9 and 9 MiB", got)
	}
}

// When one of the connections ends, the others do, whatever is outstanding fails, and the log says so once.
func TestStreamsEndTogether(t *testing.T) {
	for hangUp := range 3 {
		begun := make(chan struct{})
		peer, asked := record(t, 3, hangUp, begun)
		log := &lines{}
		opts := options(readerID)
		opts.Streams, opts.Log = 2, slog.New(slog.NewTextHandler(log, nil))
		c, err := tcp.New(opts).Dial(t.Context(), peer)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		c.Locate(&shuffle.LocateRequest{}, nil, func(_ []shuffle.Located, err error) { ended <- err })
		reqs, read := readsOf(8<<20, 8<<20, 10, 10) // some for each stream
		c.Read(reqs)
		close(begun)
		for _, err := range []error{<-ended, <-read, <-read, <-read, <-read} {
			var be *shuffle.BlockError
			if err == nil || errors.As(err, &be) {
				t.Errorf("%v, want that the connection ended", err)
			}
		}
		<-c.Closed()
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		asked()
		if got := log.all(); len(got) != 1 || !strings.Contains(got[0], "outstanding=5") {
			t.Errorf("log: %q, want one line about 5 operations", got)
		}
	}
}

// Handles count on the connections of their group, as long as there is one, and nowhere else.
func TestGroups(t *testing.T) {
	src := transporttest.NewSource(t)
	ids, data := src.Add(5000)
	s, _ := listen(t, src, "tcp", "127.0.0.1")
	open := func(group string) net.Conn {
		sock, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = sock.SetDeadline(time.Now().Add(20 * time.Second))
		h := hello(1, readerID)
		h.Group = []byte(group)
		_, _ = sock.Write(frame(t, &peerpb.Request{Kind: &peerpb.Request_Hello{Hello: h}}, 0))
		if resp, _ := answer(t, sock); resp.GetHello() == nil {
			t.Fatalf("%v, want a hello", resp)
		}
		return sock
	}
	const name = "0123456789abcdef"
	a, b := open(name), open(name)
	_, _ = a.Write(frame(t, &peerpb.Request{Kind: &peerpb.Request_Locate{Locate: &peerpb.Locate{Id: 1, AppToken: make([]byte, 32), Blocks: &blockpb.Blocks{
		ShuffleId: []uint32{ids[0].Shuffle}, MapId: []uint64{ids[0].Map}, ReduceStart: []uint32{ids[0].ReduceStart}, ReduceEnd: []uint32{ids[0].ReduceEnd},
	}}}}, 0))
	located, _ := answer(t, a)
	read := frame(t, &peerpb.Request{Kind: &peerpb.Request_Read{Read: &peerpb.Read{
		Id: 2, Handle: located.GetLocated().GetHandle(), Offset: []uint64{0}, Length: []uint64{5000},
	}}}, 0)
	for _, other := range []string{"", "fedcba9876543210"} {
		sock := open(other)
		_, _ = sock.Write(read)
		if resp, n := answer(t, sock); n != 0 || resp.GetData().GetReason() != uint32(shuffle.ReasonPeerRefused) {
			t.Errorf("group %q: %v with %d bytes, want a refusal", other, resp, n)
		}
		_ = sock.Close()
	}
	_ = a.Close()
	for s.Conns() > 1 { // b's alone
		time.Sleep(time.Millisecond)
	}
	_, _ = b.Write(read)
	if resp, n := answer(t, b); n != 5000 || resp.GetData().GetReason() != 0 {
		t.Fatalf("the other connection of the group: %v with %d bytes", resp, n)
	}
	got := make([]byte, 5000)
	if _, err := io.ReadFull(b, got); err != nil || !bytes.Equal(got, data[0]) {
		t.Errorf("other bytes (%v)", err)
	}
	_ = b.Close()
	for s.Conns() > 0 {
		time.Sleep(time.Millisecond)
	}
	if n := src.Open(); n != 0 {
		t.Errorf("%d blocks are held open after the group's end", n)
	}
	again := open(name)
	defer func() { _ = again.Close() }()
	_, _ = again.Write(read)
	if resp, n := answer(t, again); n != 0 || resp.GetData().GetReason() == 0 {
		t.Errorf("a new group of the same name: %v with %d bytes, want a refusal", resp, n)
	}
}
