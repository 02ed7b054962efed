package tcp_test

import (
	"errors"
	"io"
	"slices"
	"testing"

	"weft/internal/metrics"
	"weft/internal/pb/blockpb"
	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/tcp"
	"weft/shuffle/transporttest"
)

// owner is a server with a Direct, and a connection to it on which anApp was opened.
func owner(t *testing.T, direct shuffle.Direct) (*transporttest.Source, *tcp.Server, *byHand) {
	t.Helper()
	src := transporttest.NewSource(t)
	opts := options(ownerID)
	opts.Direct, opts.Metrics = direct, metrics.NewSet()
	s, _ := listenWith(t, opts, src, "tcp", "127.0.0.1")
	src.Admit(anApp)
	sock, h := greet(t, s.Addr().String(), hello(3, readerID))
	if h.GetFeatures()&1 == 0 {
		t.Fatalf("%v, want that it can be read directly", h)
	}
	sock.open(anApp)
	return src, s, sock
}

// locateRaw asks for shuffle blocks and returns the answer without its payload, which it drops.
func locateRaw(t *testing.T, sock *byHand, ids []shuffle.BlockID, change func(*peerpb.Locate)) *peerpb.Located {
	t.Helper()
	l := &peerpb.Locate{Id: 1, Open: 1, EagerBytes: 1000, EagerBlock: 100, Blocks: &blockpb.Blocks{}}
	for _, id := range ids {
		l.Blocks.ShuffleId, l.Blocks.MapId = append(l.Blocks.ShuffleId, id.Shuffle), append(l.Blocks.MapId, id.Map)
		l.Blocks.ReduceStart, l.Blocks.ReduceEnd = append(l.Blocks.ReduceStart, id.ReduceStart), append(l.Blocks.ReduceEnd, id.ReduceEnd)
	}
	change(l)
	if _, err := sock.Write(frame(t, &peerpb.Request{Kind: &peerpb.Request_Locate{Locate: l}}, 0)); err != nil {
		t.Fatal(err)
	}
	resp, payload := answer(t, sock)
	if _, err := io.CopyN(io.Discard, sock, int64(payload)); err != nil || resp.GetLocated() == nil {
		t.Fatalf("%v, %v", resp, err)
	}
	return resp.GetLocated()
}

// The owner tells where blocks lie only to who asks, and invites only who asks and may read one of the blocks.
func TestOwnerTellsWhoAsks(t *testing.T) {
	direct := transporttest.NewDirect()
	src, _, sock := owner(t, direct)
	ids, _ := src.Add(100, 5000, 0, 101)
	src.AddError(transporttest.ID(9), shuffle.Errorf(shuffle.ReasonNotFound, "gone"))
	small, all := ids[:1], append(slices.Clone(ids), transporttest.ID(9))
	for _, tt := range []struct {
		name              string
		ids               []shuffle.BlockID
		parts, invitation bool
		counts            []uint32
		invited           bool
	}{
		{"nothing asked", all, false, false, nil, false},
		{"an invitation without parts", all, false, true, nil, false},
		{"parts", all, true, false, []uint32{0, 2, 0, 2, 0}, false},
		{"both", all, true, true, []uint32{0, 2, 0, 2, 0}, true},
		{"both, all is eager", small, true, true, nil, false},
		{"both, all fails", all[4:], true, true, nil, false},
	} {
		before := direct.Count()
		l := locateRaw(t, sock, tt.ids, func(l *peerpb.Locate) { l.Parts, l.Invitation = tt.parts, tt.invitation })
		if !slices.Equal(l.GetPartCount(), tt.counts) || (len(l.GetInvitation()) > 0) != tt.invited {
			t.Errorf("%s: %v", tt.name, l)
		}
		n := 0
		for _, c := range tt.counts {
			n += int(c)
		}
		if len(l.GetPartAddr()) != n || len(l.GetPartKey()) != n || len(l.GetPartLength()) != n {
			t.Errorf("%s: %v, want %d parts", tt.name, l, n)
		}
		sum := uint64(0)
		for _, length := range l.GetPartLength() {
			sum += length
		}
		if n > 0 && sum != 5101 {
			t.Errorf("%s: parts of %d bytes", tt.name, sum)
		}
		now := direct.Count()
		if now.Exposures-before.Exposures != n/2 || (now.Invited > before.Invited) != tt.invited {
			t.Errorf("%s: %+v, before %+v", tt.name, now, before)
		}
		if release := l.GetHandle(); len(release) > 0 {
			_, _ = sock.Write(frame(t, &peerpb.Request{Kind: &peerpb.Request_Release{Release: &peerpb.Release{Handle: release}}}, 0))
		}
	}
	direct.Await(t, "what was given up is exposed", func(c transporttest.DirectCount) bool { return c.Exposed == 0 && src.Open() == 0 })
}

// With a connection ends what came of its invitations, used or not, and what was exposed for it.
func TestOwnerTakesBack(t *testing.T) {
	for name, end := range map[string]func(*tcp.Server, *byHand){
		"the reader is gone": func(_ *tcp.Server, sock *byHand) { _ = sock.Close() },
		"the server ends":    func(s *tcp.Server, _ *byHand) { _ = s.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			direct := transporttest.NewDirect()
			src, s, sock := owner(t, direct)
			ids, _ := src.Add(5000, 300)
			both := func(l *peerpb.Locate) { l.Parts, l.Invitation = true, true }
			first := locateRaw(t, sock, ids, both)
			locateRaw(t, sock, ids, both)
			conn, err := direct.Dial(t.Context(), anApp, first.GetInvitation())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			if _, err := direct.Dial(t.Context(), anApp, first.GetInvitation()); err == nil {
				t.Error("an invitation was of use twice")
			}
			dst, done := make([]byte, 5000), make(chan error, 2)
			reads := []shuffle.DirectRead{{Dst: dst, Done: func(err error) { done <- err }}}
			for i := range 2 {
				reads[0].Parts = append(reads[0].Parts, shuffle.Part{
					Addr: first.GetPartAddr()[i], Key: first.GetPartKey()[i], Length: int64(first.GetPartLength()[i]),
				})
			}
			if conn.Read(reads); <-done != nil {
				t.Fatal(conn.Err())
			}
			if n := direct.Count(); n.Exposed != 4 || n.Invited != 2 {
				t.Errorf("%+v", n)
			}
			end(s, sock)
			<-conn.Gone()
			direct.Await(t, "something is left", func(c transporttest.DirectCount) bool { return c.Exposed+c.Invited == 0 && src.Open() == 0 })
			if conn.Read(reads); <-done == nil {
				t.Error("it was read after the end")
			}
		})
	}
}

// modest exposes and invites as it is told.
type modest struct {
	*transporttest.Direct
	expose, invite error
}

func (m *modest) Expose(app shuffle.App, f *shuffle.Found) ([]shuffle.Part, func(), error) {
	if m.expose != nil && f.File != nil {
		return nil, nil, m.expose
	}
	return m.Direct.Expose(app, f)
}

func (m *modest) Invite(app shuffle.App) ([]byte, func(), error) {
	if m.invite != nil {
		return nil, nil, m.invite
	}
	return m.Direct.Invite(app)
}

// What the owner cannot expose, or not invite to, comes over the streams.
func TestOwnerCannot(t *testing.T) {
	for name, tt := range map[string]struct {
		m  modest
		by [2]string // of blocks in the file, and in memory
	}{
		"expose a file": {modest{expose: errors.New("no memory")}, [2]string{"", transporttest.DirectName}},
		"invite":        {modest{invite: errors.New("no device")}, [2]string{}},
	} {
		t.Run(name, func(t *testing.T) {
			tt.m.Direct = transporttest.NewDirect()
			r := &directRig{t: t, src: transporttest.NewSource(t), direct: tt.m.Direct, metrics: metrics.NewSet()}
			r.connect(tt.m.Direct, &tt.m, never)
			ids, data := r.src.Add(5000, 300, 70000, 1)
			for i, one := range r.begin(true, r.locate(anApp, ids...)...) {
				one.check(data[i], tt.by[i%2])
			}
			r.held(0, 0)
		})
	}
}
