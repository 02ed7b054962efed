package transporttest

import (
	"context"
	"testing"
	"time"

	"weft/internal/leakcheck"
	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/mem"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

func TestScript(t *testing.T) {
	const text = "dial 1 fail peer_refused; locate * delay 5ms; read 3 corrupt 17; read 4 drop; read 5 kill; read 6 fail lost; serve 2 delay 1ms"
	if got := MustParse("  " + text + ";;").String(); got != text {
		t.Errorf("%q", got)
	}
	for _, bad := range []string{"read", "write 1 drop", "read 0 drop", "read 1 drop 3", "read 1 delay", "read 1 fail sadly", "read 1 sing", "dial 1 drop", "serve 1 kill"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// What no rule is about is as it was: the suite passes, also with everything a little later.
func TestFaultyConforms(t *testing.T) {
	for _, script := range []string{"", "locate * delay 1ms; read * delay 2ms"} {
		t.Run(script, func(t *testing.T) {
			Run(t, func(t *testing.T, src shuffle.Source) Link { return Link{Conn: dial(t, src, script)} })
		})
	}
}

func dial(t *testing.T, src shuffle.Source, script string) shuffle.Conn {
	c, err := Faulty(mem.New(src, metrics.NewSet()), MustParse(script)).Dial(context.Background(), shuffle.PeerAddr{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFaults(t *testing.T) {
	src := NewSource(t)
	ids, data := src.Add(1000)
	for _, tt := range []struct {
		script string
		check  func(t *testing.T, c caller, r *read)
	}{
		{"read 1 corrupt 1001", func(t *testing.T, _ caller, r *read) {
			if r.bytes(t)[1] != data[0][1]^1 {
				t.Error("byte 1 is not flipped")
			}
		}},
		{"read 1 fail no_space", func(t *testing.T, _ caller, r *read) {
			wait(t, r.ended, "Read")
			if blockError(t, r.err).Reason != shuffle.ReasonNoSpace {
				t.Errorf("%v", r.err)
			}
		}},
		{"read 1 drop", func(t *testing.T, c caller, r *read) {
			select {
			case <-r.ended:
				t.Error("it ended")
			case <-time.After(5 * time.Millisecond):
			}
			_ = c.conn.Close()
			wait(t, r.ended, "Read")
			broken(t, r.err)
		}},
		{"read 1 fail lost", func(t *testing.T, c caller, r *read) {
			wait(t, r.ended, "Read")
			broken(t, r.err)
			wait(t, c.conn.Closed(), "Closed")
		}},
		{"read 1 kill", func(t *testing.T, c caller, r *read) {
			wait(t, r.ended, "Read")
			wait(t, c.conn.Closed(), "Closed")
		}},
	} {
		t.Run(tt.script, func(t *testing.T) {
			c := caller{t: t, conn: dial(t, src, tt.script)}
			defer func() { _ = c.conn.Close() }()
			got := c.locate(ids, 0, 0).located(t)
			tt.check(t, c, c.read(make([]byte, 1000), nil, shuffle.Range{Handle: got[0].Handle, Length: 1000}))
		})
	}
}

// An owner that answers a read takes back the handles that it was to give up, be it with a reason.
func TestFailedReadGivesUpHandles(t *testing.T) {
	src := NewSource(t)
	ids, _ := src.Add(1000)
	c := caller{t: t, conn: dial(t, src, "read 1 fail no_space")}
	defer func() { _ = c.conn.Close() }()
	handle := c.locate(ids, 0, 0).located(t)[0].Handle
	r := c.read(make([]byte, 1000), []uint64{handle}, shuffle.Range{Handle: handle, Length: 1000})
	wait(t, r.ended, "Read")
	if n := src.Open(); n != 0 {
		t.Errorf("%d blocks are still held open: %v", n, r.err)
	}
}

// Rules can be added while a script is in use: they count from then on, and come first.
func TestAdd(t *testing.T) {
	s := MustParse("read 2 drop; locate * delay 1ms")
	for range 2 {
		s.next("read")
	}
	if err := s.Add("read 1 kill; locate 1 drop"); err != nil {
		t.Fatal(err)
	}
	if err := s.Add("read 2 corrupt 5"); err != nil {
		t.Fatal(err)
	}
	if got, want := s.String(), "read 4 corrupt 5; read 3 kill; locate 1 drop; locate * delay 1ms"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for i, want := range []string{"kill", "corrupt"} {
		if r := s.next("read"); r == nil || r.action != want {
			t.Errorf("read %d: %+v, want %s", i, r, want)
		}
	}
	for _, want := range []string{"drop", "delay"} {
		if r := s.next("locate"); r == nil || r.action != want {
			t.Errorf("locate: %+v, want %s", r, want)
		}
	}
	if got := s.Met(); got != 5 {
		t.Errorf("%d operations met a rule, want 5", got)
	}
	if s.Add("read 1 sing") == nil {
		t.Error("a bad rule was added")
	}
}

func TestFaultySource(t *testing.T) {
	src := NewSource(t)
	ids, _ := src.Add(1000)
	req := &shuffle.LocateRequest{App: shuffle.App{ID: "app"}, Executor: "1", Blocks: ids}
	faulty := FaultySource(src, MustParse("serve 1 fail no_space; serve 2 fail lost; serve 3 delay 1h; serve 4 delay 1ms"))
	if _, err := faulty.Locate(t.Context(), req); blockError(t, err).Reason != shuffle.ReasonNoSpace {
		t.Errorf("%v", err)
	}
	_, err := faulty.Locate(t.Context(), req)
	broken(t, err)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := faulty.Locate(ended, req); err == nil {
		t.Error("it was served before the time")
	}
	found, err := faulty.Locate(t.Context(), req)
	if err != nil || len(found) != 1 || found[0].Err != nil {
		t.Fatalf("%+v, %v", found, err)
	}
	found[0].Close()
}
