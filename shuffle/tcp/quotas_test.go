package tcp_test

import (
	"context"
	"io"
	"testing"
	"time"

	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/quota"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

var greedy = shuffle.App{ID: "greedy"} // a token of zeros

// stalling never resolves the requests of one application.
type stalling struct {
	*transporttest.Source
	app string
}

func (s stalling) Ask(context.Context, *shuffle.LocateRequest, func([]shuffle.Found)) bool {
	return false
}

func (s stalling) Locate(ctx context.Context, req *shuffle.LocateRequest) ([]shuffle.Found, error) {
	if req.App.ID == s.app {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return s.Source.Locate(ctx, req)
}

// locate waits for the answer to a request by an application for one block.
func locate(t *testing.T, c shuffle.Conn, app shuffle.App, id shuffle.BlockID) (shuffle.Located, error) {
	t.Helper()
	type end struct {
		located []shuffle.Located
		err     error
	}
	ended := make(chan end, 1)
	c.Locate(&shuffle.LocateRequest{App: app, Blocks: []shuffle.BlockID{id}}, nil, func(l []shuffle.Located, err error) { ended <- end{l, err} })
	select {
	case e := <-ended:
		if e.err != nil {
			return shuffle.Located{}, e.err
		}
		return e.located[0], nil
	case <-time.After(20 * time.Second):
		t.Fatal("no answer")
		return shuffle.Located{}, nil
	}
}

// One application has as many requests under way that are never resolved as it can: over the same connection, another one's are.
func TestRequestsOfOneApplicationDoNotDelayAnother(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		for name, quotas := range map[string]tcp.Quotas{
			"by their number": {},
			"by their memory": {Locates: quota.New(1<<20, 75, nil)},
		} {
			t.Run(name, func(t *testing.T) {
				src := transporttest.NewSource(t)
				src.Admit(anApp)
				ids, _ := src.Add(5000)
				opts := options(ownerID)
				opts.Quotas = quotas
				_, peer := listenWith(t, opts, stalling{src, greedy.ID}, "tcp", "127.0.0.1")
				c := dialBy(t, w.transport(options(readerID)), peer)
				refused := make(chan struct{}, 1000)
				for range 300 {
					c.Locate(&shuffle.LocateRequest{App: greedy, Blocks: ids}, nil, func(l []shuffle.Located, err error) {
						if err == nil && l[0].Err != nil && l[0].Err.Reason == shuffle.ReasonNoSpace {
							refused <- struct{}{}
						}
					})
				}
				<-refused
				if l, err := locate(t, c, anApp, ids[0]); err != nil || l.Err != nil || l.Handle == 0 {
					t.Errorf("another application: %+v, %v", l, err)
				}
				if err := c.Close(); err != nil { // the requests end with it
					t.Error(err)
				}
				eventuallyUnused(t, quotas.Locates)
			})
		}
	})
}

func eventuallyUnused(t *testing.T, p *quota.Pool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); len(p.Usage()) > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not given back: %v", p.Usage())
		}
	}
}

// Blocks that one application holds open and does not read are bounded, over as many connections as it likes.
func TestHandlesOfOneApplication(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		src := transporttest.NewSource(t)
		src.Admit(anApp)
		ids, _ := src.Add(5000)
		opts := options(ownerID)
		opts.Quotas.Handles = quota.New(8, 75, nil)
		s, peer := listenWith(t, opts, src, "tcp", "127.0.0.1")
		held := 0
		for range 4 {
			c := dialBy(t, w.transport(options(readerID)), peer)
			for range 3 {
				l, err := locate(t, c, greedy, ids[0])
				switch {
				case err != nil:
					t.Fatal(err)
				case l.Err == nil:
					held++
				case l.Err.Reason != shuffle.ReasonNoSpace:
					t.Errorf("refused with %v", l.Err)
				}
			}
		}
		if held != 6 {
			t.Errorf("%d blocks of at most 8 are held open for one application", held)
		}
		if l, err := locate(t, dialBy(t, w.transport(options(readerID)), peer), anApp, ids[0]); err != nil || l.Err != nil {
			t.Errorf("another application: %+v, %v", l, err)
		}
		tcp.Tidy(s, 2*tcp.HandleIdle)
		eventuallyUnused(t, opts.Quotas.Handles)
	})
}

// An application may be opened over so many connections; over the next one another application still may.
func TestConnectionsOfOneApplication(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		src := transporttest.NewSource(t)
		src.Admit(anApp)
		opts := options(ownerID)
		opts.Quotas.Conns = quota.New(6, 50, nil)
		s, _ := listenWith(t, opts, src, "tcp", "127.0.0.1")
		for range 3 {
			c := w.greet(t, s.Addr().String())
			c.open(greedy)
			c.open(greedy) // again, over the same: it is none more
		}
		c := w.greet(t, s.Addr().String())
		id, proof := c.prove(greedy)
		if m := c.ask(id, greedy.ID, proof); shuffle.Reason(m.GetReason()) != shuffle.ReasonNoSpace {
			t.Errorf("the fourth: %v", m)
		}
		c2 := w.greet(t, s.Addr().String())
		if id, proof = c2.prove(anApp); c2.ask(id, anApp.ID, proof).GetReason() != 0 {
			t.Error("another application was refused")
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		eventuallyUnused(t, opts.Quotas.Conns)
	})
}

// Whoever connects and opens nothing gives way to who comes later.
func TestStrangersGiveWay(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		src := transporttest.NewSource(t)
		src.Admit(anApp)
		ids, _ := src.Add(5000)
		opts := options(ownerID)
		opts.MaxConns = 5
		s, peer := listenWith(t, opts, src, "tcp", "127.0.0.1")
		var strangers []*byHand
		for range opts.MaxConns {
			c := w.greet(t, s.Addr().String())
			c.open(shuffle.ProbeApp) // which everybody may
			strangers = append(strangers, c)
		}
		c := dialBy(t, w.transport(options(readerID)), peer) // four connections
		if l, err := locate(t, c, anApp, ids[0]); err != nil || l.Err != nil {
			t.Errorf("a peer: %+v, %v", l, err)
		}
		for _, stranger := range strangers[:4] {
			if _, err := stranger.Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // as it comes
				t.Errorf("a stranger: %v", err)
			}
		}
		w.greet(t, s.Addr().String())                                    // in the place of the last
		if _, err := strangers[4].Read(make([]byte, 1)); err != io.EOF { //nolint:errorlint // as it comes
			t.Errorf("the last stranger: %v", err)
		}
		if l, err := locate(t, c, anApp, ids[0]); err != nil || l.Err != nil {
			t.Errorf("the peer then: %+v, %v", l, err)
		}
	})
}

// A reader that takes a little now and then keeps its connection, and the block that it reads, not for ever.
func TestAnswerNotReadForLong(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		const size = 64 << 20 // much more than sockets take
		src := transporttest.NewSource(t)
		src.AddHole(transporttest.ID(0), size, 0)
		s, _ := listen(t, src, "tcp", "127.0.0.1")
		sock := w.greet(t, s.Addr().String())
		sock.request(locateOf(sock.open(shuffle.App{}), transporttest.ID(0)))
		located, _ := answer(t, sock)
		sock.request(&peerpb.Request{Kind: &peerpb.Request_Read{Read: &peerpb.Read{
			Id: 2, Handle: located.GetLocated().GetHandle(), Offset: []uint64{0}, Length: []uint64{size},
		}}})
		if _, n := answer(t, sock); n != size {
			t.Fatalf("%d bytes are announced", n)
		}
		tcp.Tidy(s, tcp.HandleIdle/2)
		if _, err := io.CopyN(io.Discard, sock, 1000); err != nil {
			t.Errorf("a slow reader's connection was ended: %v", err)
		}
		if src.Open() != 1 {
			t.Errorf("%d blocks are held", src.Open())
		}
		tcp.Tidy(s, 2*tcp.HandleIdle)
		if n, err := io.Copy(io.Discard, sock); n > size/2 || isTimeout(err) {
			t.Errorf("%d bytes more came (%v)", n, err)
		}
	})
}

// A connection over which nothing is asked for stays, however it was used before.
func TestAConnectionThatRests(t *testing.T) {
	eachWay(t, func(t *testing.T, w way) {
		src := transporttest.NewSource(t)
		ids, _ := src.Add(100)
		s, peer := listen(t, src, "tcp", "127.0.0.1")
		c := dialBy(t, w.transport(options(readerID)), peer)
		for range 3 {
			if l, err := locate(t, c, shuffle.App{}, ids[0]); err != nil || l.Err != nil {
				t.Fatalf("%+v, %v", l, err)
			}
			for deadline := time.Now().Add(20 * time.Second); tcp.Sending(s); time.Sleep(time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("an answer that was read is being sent")
				}
			}
			tcp.Tidy(s, 2*tcp.HandleIdle)
		}
	})
}
