package daemon

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"weft/internal/leakcheck"
	"weft/shuffle"
	"weft/shuffle/tcp"
)

// visitor is connected to a daemon as `weft doctor` on another host is.
type visitor struct {
	t    *testing.T
	conn shuffle.Conn
}

func visit(t *testing.T, d *running) *visitor {
	t.Helper()
	transport := tcp.New(tcp.Options{PeerTimeout: patience, Streams: 1, Log: slog.New(slog.DiscardHandler)})
	c, err := transport.Dial(t.Context(), shuffle.PeerAddr{Hosts: []string{"127.0.0.1"}, Port: d.PeerPort})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return &visitor{t, c}
}

func (v *visitor) locate(app shuffle.App, names ...string) []shuffle.Located {
	v.t.Helper()
	req := &shuffle.LocateRequest{App: app}
	for _, n := range names {
		req.Blocks = append(req.Blocks, shuffle.BlockID{Name: n})
	}
	answer := make(chan []shuffle.Located, 1)
	v.conn.Locate(req, nil, func(l []shuffle.Located, err error) {
		var be *shuffle.BlockError
		switch {
		case errors.As(err, &be): // for the whole request
			l = []shuffle.Located{{Err: be}}
		case err != nil:
			v.t.Error(err)
		}
		answer <- l
	})
	return <-answer
}

func (v *visitor) refused(reason shuffle.Reason, words string, all []shuffle.Located) {
	v.t.Helper()
	for i, l := range all {
		if l.Err == nil || l.Err.Reason != reason || i == 0 && !strings.Contains(l.Err.Detail, words) { // words are said once
			v.t.Errorf("%+v, want %v: %s", l, reason, words)
		}
	}
}

func TestProbe(t *testing.T) {
	leakcheck.Check(t)
	d := startDaemon(t, testOptions(t))
	v := visit(t, d)
	l := v.locate(shuffle.ProbeApp, shuffle.ProbeBlock)[0]
	want, got := make([]byte, shuffle.ProbeLen), make([]byte, shuffle.ProbeLen)
	shuffle.FillProbe(want)
	ended := make(chan error, 1)
	v.conn.Read([]shuffle.ReadRequest{{Ranges: []shuffle.Range{{Handle: l.Handle, Length: l.Length}}, Dst: got, Done: func(err error) { ended <- err }}})
	if err := <-ended; err != nil || !bytes.Equal(got, want) {
		t.Errorf("the probe block is another one, %v", err)
	}

	// Nothing else can be had so.
	v.refused(shuffle.ReasonPeerRefused, "does not prove", v.locate(shuffle.App{ID: shuffle.ProbeApp.ID, Token: [32]byte{1}}, shuffle.ProbeBlock))
	v.refused(shuffle.ReasonPeerRefused, "alone", v.locate(shuffle.ProbeApp, "rdd_1_1"))
	v.refused(shuffle.ReasonPeerRefused, "alone", v.locate(shuffle.ProbeApp, shuffle.ProbeBlock, shuffle.ProbeBlock))

	// And it only by few at a time, until they leave.
	for range maxProbes - 1 {
		if l := v.locate(shuffle.ProbeApp, shuffle.ProbeBlock)[0]; l.Err != nil {
			t.Fatal(l.Err)
		}
	}
	other := visit(t, d)
	other.refused(shuffle.ReasonPeerRefused, "try again", other.locate(shuffle.ProbeApp, shuffle.ProbeBlock))
	_ = v.conn.Close()
	eventually(t, "the first visitor's leaving is noticed", func() bool { return other.locate(shuffle.ProbeApp, shuffle.ProbeBlock)[0].Err == nil })
}

// inviting is a device that counts invitations.
type inviting struct {
	shuffle.Direct
	given int
	err   error
}

func (i *inviting) Invite(shuffle.App) ([]byte, func(), error) {
	if i.err == nil {
		i.given++
	}
	return nil, func() { i.given-- }, i.err
}

func TestFewInvitationsToTheProbe(t *testing.T) {
	device := &inviting{}
	s := &sparing{Direct: device}
	var withdraw []func()
	for i := range maxProbes + 3 {
		_, w, err := s.Invite(shuffle.ProbeApp)
		if (err == nil) != (i < maxProbes) {
			t.Errorf("invitation %d: %v", i, err)
		}
		if err == nil {
			withdraw = append(withdraw, w)
		}
	}
	if _, _, err := s.Invite(shuffle.App{ID: "app"}); err != nil || device.given != maxProbes+1 {
		t.Errorf("an application's: %v, %d given", err, device.given)
	}
	withdraw[0]()
	device.err = errors.New("broken")
	if _, _, err := s.Invite(shuffle.ProbeApp); !errors.Is(err, device.err) {
		t.Error(err)
	}
	device.err = nil
	if _, _, err := s.Invite(shuffle.ProbeApp); err != nil {
		t.Errorf("after one was withdrawn, and one failed: %v", err)
	}
}
