package tcp_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

// record greets as many connections, opens what they want, and tells, when each has ended, what was asked over it: first over the one that was opened first. It
// answers nothing. Connection number hangUp ends after one request, when it is told to.
func record(t *testing.T, conns, hangUp int, now <-chan struct{}) (shuffle.PeerAddr, func() [][]*peerpb.Request) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	greeting := responseHello(t, 3, ownerID)
	asked := make([]chan []*peerpb.Request, conns)
	for i := range asked {
		asked[i] = make(chan []*peerpb.Request, 1)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for i := range asked {
			sock, err := l.Accept()
			if err != nil {
				close(asked[i])
				continue
			}
			go func() {
				defer func() { _ = sock.Close() }()
				var all []*peerpb.Request
				peer := listening{t: t, sock: sock, greeting: greeting}
				for i != hangUp || len(all) == 0 {
					req := peer.next()
					if req == nil {
						break
					}
					all = append(all, req)
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

// Requests go over the first connection; each read goes over the first of the others that has less than 1 MiB to receive, else over that
// which has least.
func TestReadsAreSpread(t *testing.T) {
	peer, asked := record(t, 4, -1, nil)
	c := dial(t, peer)
	if err := tcp.Open(c, shuffle.App{}); err != nil {
		t.Fatal(err)
	}
	c.Locate(&shuffle.LocateRequest{Blocks: []shuffle.BlockID{transporttest.ID(0)}}, nil, func([]shuffle.Located, error) {})
	const m = 128 << 10
	reqs, _ := readsOf(8*m, 4*m, 5*m, 8*m, m, m, m)
	c.Read(reqs)
	c.Release([]uint64{7})
	_ = c.Close()
	all := asked()
	if first := all[0]; len(first) != 2 || first[0].GetLocate() == nil || first[1].GetRelease() == nil {
		t.Errorf("over the first connection: %v, want the Locate and the Release", first)
	}
	if got := spread(all[1:]); got != "157 23 46" {
		t.Errorf("handles read over the streams: %q, want those of 10, 9 and 9 parts", got)
	}
}

// spread is the handles that were read over each stream.
func spread(streams [][]*peerpb.Request) string {
	var all []string
	for _, stream := range streams {
		var handles []byte
		for _, r := range stream {
			handles = append(handles, '0'+byte(r.GetRead().GetHandle()[0]))
		}
		all = append(all, string(handles))
	}
	slices.Sort(all)
	return strings.Join(all, " ")
}

// A stream over which nothing comes gets no more to do while there are others.
func TestStalledStreamIsAvoided(t *testing.T) {
	peer, asked := record(t, 4, -1, nil)
	c := dial(t, peer)
	reqs, _ := readsOf(10, 10, 10)
	c.Read(reqs[:1])
	time.Sleep(60 * time.Millisecond)
	c.Read(reqs[1:2])
	time.Sleep(60 * time.Millisecond)
	c.Read(reqs[2:])
	_ = c.Close()
	if got := spread(asked()[1:]); got != "1 2 3" {
		t.Errorf("handles read over the streams: %q, want one over each", got)
	}
}

// A dial that fails in the middle leaves no connection and says once why, without waiting for those that are silent.
func TestDialFailsInTheMiddle(t *testing.T) {
	greeting := responseHello(t, 3, ownerID)
	for name, answers := range map[string][][]byte{
		"hangs up":          {greeting, nil, greeting, greeting},
		"another daemon":    {greeting, greeting, responseHello(t, 3, [16]byte{9}), greeting},
		"one more is quiet": {greeting, {}, nil, greeting},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var served sync.WaitGroup
			served.Go(func() {
				for _, a := range answers {
					sock, err := l.Accept()
					if err != nil {
						return
					}
					served.Go(func() {
						defer func() { _ = sock.Close() }()
						if _, err := readFrame(sock, new(peerpb.Request)); err != nil || a == nil {
							return
						}
						_, _ = sock.Write(a)
						_, _ = io.Copy(io.Discard, sock)
					})
				}
			})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			peer := shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: uint16(l.Addr().(*net.TCPAddr).Port), DaemonID: ownerID}
			_, err = tcp.New(options(readerID)).Dial(ctx, peer)
			if err == nil || ctx.Err() != nil || strings.Count(err.Error(), "connection ") != 1 {
				t.Errorf("%v (%v), want one error at once", err, ctx.Err())
			}
			_ = l.Close()
			served.Wait() // every connection has been closed
		})
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
		if err := tcp.Open(c, shuffle.App{}); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		c.Locate(&shuffle.LocateRequest{}, nil, func(_ []shuffle.Located, err error) { ended <- err })
		reqs, read := readsOf(8<<20, 8<<20, 10, 10) // some for each stream
		for i := range reqs {
			done := reqs[i].Done
			reqs[i].Done = func(err error) {
				select {
				case <-c.Closed():
				default:
					t.Error("a read failed before the connection was said to be of no more use")
				}
				done(err)
			}
		}
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

// Handles count on the connections of their group on which their application was opened, as long as there is one, and nowhere else.
func TestGroups(t *testing.T) {
	src := transporttest.NewSource(t)
	tenant := shuffle.App{ID: "tenant", Token: [32]byte{3}}
	src.Admit(anApp, tenant)
	ids, data := src.Add(5000)
	s, _ := listen(t, src, "tcp", "127.0.0.1")
	open := func(group string, apps ...shuffle.App) *byHand {
		h := hello(3, readerID)
		h.Group = []byte(group)
		r, _ := greet(t, s.Addr().String(), h)
		for _, app := range apps {
			r.open(app)
		}
		return r
	}
	const name = "0123456789abcdef"
	a, b := open(name, anApp), open(name, tenant, anApp)
	a.request(locateOf(1, ids[0]))
	located, _ := answer(t, a)
	handle := located.GetLocated().GetHandle()
	read := &peerpb.Request{Kind: &peerpb.Request_Read{Read: &peerpb.Read{Id: 2, Handle: handle, Offset: []uint64{0}, Length: []uint64{5000}}}}
	release := &peerpb.Request{Kind: &peerpb.Request_Release{Release: &peerpb.Release{Handle: handle}}}
	for why, r := range map[string]*byHand{
		"no group":                          open("", anApp),
		"another group":                     open("fedcba9876543210", anApp),
		"the group's name without a secret": open(name),
		"the group's name with another application's": open(name, tenant),
	} {
		r.request(release)
		r.request(read)
		if resp, n := answer(t, r); n != 0 || resp.GetData().GetReason() != uint32(shuffle.ReasonPeerRefused) {
			t.Errorf("%s: %v with %d bytes, want a refusal", why, resp, n)
		}
		_ = r.Close()
	}
	conns := func(n int) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); s.Conns() != n; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%d connections, want %d", s.Conns(), n)
			}
		}
	}
	conns(2)
	_ = a.Close()
	conns(1) // b's alone
	b.request(read)
	if resp, n := answer(t, b); n != 5000 || resp.GetData().GetReason() != 0 {
		t.Fatalf("the other connection of the group: %v with %d bytes", resp, n)
	}
	got := make([]byte, 5000)
	if _, err := io.ReadFull(b, got); err != nil || !bytes.Equal(got, data[0]) {
		t.Errorf("other bytes (%v)", err)
	}
	_ = b.Close()
	conns(0)
	if n := src.Open(); n != 0 {
		t.Errorf("%d blocks are held open after the group's end", n)
	}
	again := open(name, anApp)
	again.request(read)
	if resp, n := answer(t, again); n != 0 || resp.GetData().GetReason() == 0 {
		t.Errorf("a new group of the same name: %v with %d bytes, want a refusal", resp, n)
	}
}
