package jvmbridge_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"weft/internal/metrics"
	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
	"weft/jvmbridge"
	"weft/jvmbridge/bridgetest"
	"weft/shuffle"
)

func TestWelcomeTellsWhatTheExecutorNeeds(t *testing.T) {
	r := newRig(t, table, nil)
	hello := bridgetest.Hello("app", "1")
	hello.Features = ^bridgetest.Encrypt
	w := r.dial(t, hello).Welcome
	if w.GetVersion() != 1 || w.GetFeatures() != 0 || w.GetPeerAddress()[0] != "10.0.0.1" || w.GetPeerPort() != 7400 ||
		w.GetMaxLeaseBytes() != 8<<20 || w.GetSoftwareVersion() != "test" || w.GetRdmaDevice() != "rxe0" || !w.GetRdmaSoftware() || !bytes.Equal(w.GetDaemonId()[:3], []byte{1, 2, 3}) {
		t.Errorf("Welcome is %v", w)
	}
	s := r.Sessions()
	if len(s) != 1 || s[0].App != "app" || s[0].Executor != "1" || s[0].PID != int32(os.Getpid()) || s[0].UID != uint32(os.Getuid()) {
		t.Errorf("sessions: %+v", s)
	}
	if got := r.registry.Status(); len(got) != 1 || got[0].Executor != "1" {
		t.Errorf("registry: %+v", got)
	}
}

// An executor whose blocks have to be encrypted is told that they will be, and of no device.
func TestWelcomePromisesEncryption(t *testing.T) {
	r := newRig(t, table, nil)
	hello := bridgetest.Hello("app", "1")
	hello.Features = bridgetest.Encrypt
	if w := r.dial(t, hello).Welcome; w.GetFeatures() != bridgetest.Encrypt || w.GetRdmaDevice() != "" || w.GetRdmaSoftware() {
		t.Errorf("Welcome is %v", w)
	}
	var refused *bridgetest.RefusedError
	if _, err := bridgetest.Dial(r.socket, bridgetest.Hello("app", "2")); !errors.As(err, &refused) || !strings.Contains(refused.Detail, "have to be encrypted: true, and now false") {
		t.Errorf("an executor without encryption: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	r := newRig(t, table, nil)
	r.dial(t, bridgetest.Hello("app", "1"))
	for name, test := range map[string]struct {
		change func(*bridgepb.Hello)
		want   string
	}{
		"version":       {func(h *bridgepb.Hello) { h.Version = 2 }, "version 1 of the bridge, the executor version 2"},
		"short token":   {func(h *bridgepb.Hello) { h.AppToken = h.AppToken[:31] }, "32 bytes, not 31"},
		"long token":    {func(h *bridgepb.Hello) { h.AppToken = append(h.AppToken, 0) }, "32 bytes, not 33"},
		"another token": {func(h *bridgepb.Hello) { h.AppToken[0]++ }, "another token"},
		"encryption":    {func(h *bridgepb.Hello) { h.Features = bridgetest.Encrypt }, "have to be encrypted: false, and now true"},
		"no directory":  {func(h *bridgepb.Hello) { h.LocalDirs = []string{"/nowhere/at/all"} }, "/nowhere/at/all"},
		"no executor":   {func(h *bridgepb.Hello) { h.ExecutorId = "" }, "executor id"},
	} {
		t.Run(name, func(t *testing.T) {
			hello := bridgetest.Hello("app", "2")
			test.change(hello)
			_, err := bridgetest.Dial(r.socket, hello)
			var refused *bridgetest.RefusedError
			if !errors.As(err, &refused) || !strings.Contains(refused.Detail, test.want) || strings.Contains(refused.Detail, "\n") {
				t.Errorf("got %v, want one line about %q", err, test.want)
			}
		})
	}
	if n := len(r.Sessions()); n != 1 {
		t.Errorf("%d sessions, want the first alone", n)
	}
}

func TestAttachNeedsTheToken(t *testing.T) {
	r := newRig(t, table, nil)
	c := r.dial(t, bridgetest.Hello("app", "1"))
	for name, attach := range map[string]*bridgepb.Attach{
		"wrong token":   {SessionId: c.Welcome.GetSessionId(), AttachToken: make([]byte, 16)},
		"no token":      {SessionId: c.Welcome.GetSessionId()},
		"wrong session": {SessionId: 99, AttachToken: c.Welcome.GetAttachToken()},
		"twice":         {SessionId: c.Welcome.GetSessionId(), AttachToken: c.Welcome.GetAttachToken()},
	} {
		conn := r.connect(t)
		if err := bridgetest.WriteFrame(conn, &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Attach{Attach: attach}}); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("%s: %v, want the connection closed", name, err)
		}
	}
	mustWork(t, c)
}

func TestNoAttachEndsTheSession(t *testing.T) {
	r := newRig(t, table, func(o *jvmbridge.Options) { o.HandshakeTimeout = 20 * time.Millisecond })
	conn := r.connect(t)
	hello := bridgetest.Hello("app", "1")
	if err := bridgetest.WriteFrame(conn, &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Hello{Hello: hello}}); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(conn); err != nil || len(rest) == 0 {
		t.Errorf("%v after %d bytes, want Welcome and the end", err, len(rest))
	}
	silent := r.connect(t)
	if _, err := silent.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("a connection that says nothing: %v", err)
	}
}

// Bad input ends its own session and no other.
func TestBadInputEndsOnlyItsSession(t *testing.T) {
	block := func(r *bridgetest.Client, t *testing.T) bridgetest.Block {
		blocks, err := r.FetchAll(t.Context(), fetchOf(false, "rdd_1_1"))
		if err != nil {
			t.Fatal(err)
		}
		return blocks[0]
	}
	send := func(m *bridgepb.ToDaemon) func(*testing.T, *bridgetest.Client) error {
		return func(_ *testing.T, c *bridgetest.Client) error { return c.Send(m) }
	}
	release := func(leases []uint64, counts []uint32) *bridgepb.ToDaemon {
		return &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Release{Release: &bridgepb.Release{Lease: leases, Count: counts}}}
	}
	fetch := func(change func(*bridgepb.Fetch)) func(*testing.T, *bridgetest.Client) error {
		m := fetchOf(false, "rdd_1_1")
		m.RequestId = 1 << 40
		change(m)
		return send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Fetch{Fetch: m}})
	}
	random := make([]byte, 100_000)
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range random {
		random[i] = byte(rnd.Uint32())
	}
	r := newRig(t, table, nil)
	bystander := r.dial(t, bridgetest.Hello("app", "bystander"))
	held := block(bystander, t)
	tests := map[string]func(*testing.T, *bridgetest.Client) error{
		"random bytes":    func(_ *testing.T, c *bridgetest.Client) error { return c.SendBytes(random) },
		"too long":        func(_ *testing.T, c *bridgetest.Client) error { return c.SendBytes([]byte{1, 0, 0, 1}) },
		"does not parse":  func(_ *testing.T, c *bridgetest.Client) error { return c.SendBytes([]byte{0, 0, 0, 2, 0xff, 0xff}) },
		"empty frame":     func(_ *testing.T, c *bridgetest.Client) error { return c.SendBytes([]byte{0, 0, 0, 0}) },
		"second Hello":    send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Hello{Hello: bridgetest.Hello("app", "x")}}),
		"Attach as frame": send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Attach{Attach: &bridgepb.Attach{}}}),
		"unknown lease":   send(release([]uint64{77}, []uint32{1})),
		"lease zero":      send(release([]uint64{0}, []uint32{1})),
		"unequal release": send(release([]uint64{1, 2}, []uint32{1})),
		"too many shares": func(t *testing.T, c *bridgetest.Client) error {
			return c.Send(release([]uint64{block(c, t).Lease}, []uint32{2}))
		},
		"no shares": func(t *testing.T, c *bridgetest.Client) error {
			return c.Send(release([]uint64{block(c, t).Lease}, []uint32{0}))
		},
		"released twice": func(t *testing.T, c *bridgetest.Client) error {
			b := block(c, t)
			return errors.Join(c.Release(b), c.Release(b))
		},
		"another session's lease": func(t *testing.T, c *bridgetest.Client) error { return c.Release(held) },
		"no blocks":               fetch(func(m *bridgepb.Fetch) { m.Blocks = nil }),
		"unequal blocks":          fetch(func(m *bridgepb.Fetch) { m.Blocks.ShuffleId = []uint32{1} }),
		"short daemon id":         fetch(func(m *bridgepb.Fetch) { m.PeerDaemonId = m.PeerDaemonId[1:] }),
		"port":                    fetch(func(m *bridgepb.Fetch) { m.PeerPort = 1 << 16 }),
		"upcall answer":           send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_BlockOpened{BlockOpened: &bridgepb.BlockOpened{UpcallId: 5}}}),
		"copy answer":             send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_BlockCopied{BlockCopied: &bridgepb.BlockCopied{UpcallId: 5}}}),
		"path outside": send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_RegisterMapOutput{RegisterMapOutput: &bridgepb.RegisterMapOutput{
			DataPath: "/etc/passwd", IndexPath: "/etc/passwd", NumPartitions: 1,
		}}}),
	}
	refused := func() float64 { return testutil.ToFloat64(r.metrics.SessionsRefused) }
	for name, act := range tests {
		t.Run(name, func(t *testing.T) {
			before := refused()
			c := r.dial(t, bridgetest.Hello("app", name))
			if err := act(t, c); err != nil {
				t.Logf("sending: %v", err) // the daemon may be faster
			}
			mustEnd(t, c)
			eventually(t, "it is counted", func() bool { return refused() == before+1 })
			mustWork(t, bystander)
		})
	}
	if !bytes.Equal(held.Bytes, table.blocks["rdd_1_1"]) {
		t.Error("the bystander's block changed")
	}
	if err := bystander.Release(held); err != nil {
		t.Error(err)
	}
}

func TestATornFrame(t *testing.T) {
	r := newRig(t, table, nil)
	bystander := r.dial(t, bridgetest.Hello("app", "bystander"))
	s := r.dialRaw(t, bridgetest.Hello("app", "1"))
	torn := append(binary.BigEndian.AppendUint32(nil, 1000), "half"...)
	if _, err := s.frames.Write(torn); err != nil {
		t.Fatal(err)
	}
	if err := s.frames.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(s.frames); err != nil {
		t.Errorf("want the end of the session, got %v", err)
	}
	if _, err := s.descriptors.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("the descriptor socket: %v, want it closed too", err)
	}
	mustWork(t, bystander)
}

func TestTheDescriptorSocketEndsTheSessionToo(t *testing.T) {
	r := newRig(t, table, nil)
	for name, act := range map[string]func(*raw) error{
		"closed": func(s *raw) error { return s.descriptors.Close() },
		"data":   func(s *raw) error { _, err := s.descriptors.Write([]byte{1}); return err },
	} {
		s := r.dialRaw(t, bridgetest.Hello("app", name))
		if err := act(s); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadAll(s.frames); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// What an executor was given outlives its session: it maps the memory itself, and nobody gets it again.
func TestBlocksOutliveTheSession(t *testing.T) {
	r := newRig(t, table, nil)
	c := r.dial(t, bridgetest.Hello("app", "1"))
	blocks, err := c.FetchAll(t.Context(), fetchOf(false, "rdd_1_1"))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.SendBytes([]byte{0xff, 0xff, 0xff, 0xff}); err != nil {
		t.Fatal(err)
	}
	mustEnd(t, c)
	eventually(t, "the daemon has no memory of the session", func() bool { return r.budget.Usage()[metrics.Receive].Allocated == 0 })
	if !bytes.Equal(blocks[0].Bytes, table.blocks["rdd_1_1"]) {
		t.Error("the block changed when the session ended")
	}
	if n := testutil.ToFloat64(r.metrics.Leases(metrics.Receive)); n != 0 {
		t.Errorf("%v leases after the end", n)
	}
}

// A lease that a transport still writes to survives the session, and takes nothing else with it.
func TestLeasesGoBackWhenTheTransportIsDone(t *testing.T) {
	writing, done := make(chan struct{}), make(chan struct{})
	r := newRig(t, fetchFunc(func(ctx context.Context, req *shuffle.FetchRequest, sink shuffle.Sink) {
		go func() {
			lease, err := req.Arena.Alloc(ctx, 1000)
			if err != nil {
				t.Error(err)
			}
			go func() { // the transport
				<-done
				copy(lease.Bytes(), "late")
				lease.Release()
			}()
			close(writing)
			<-ctx.Done()
			sink.Failed([]int{0}, shuffle.ReasonCancelled, "")
		}()
	}), nil)
	c := r.dial(t, bridgetest.Hello("app", "1"))
	if _, err := c.Fetch(fetchOf(false, "rdd_1_1")); err != nil {
		t.Fatal(err)
	}
	<-writing
	c.Close()
	eventually(t, "the session is gone", func() bool { return len(r.Sessions()) == 0 })
	if got := r.budget.Usage()[metrics.Receive]; got.Leases != 1 || got.Allocated != 1<<20 {
		t.Errorf("while the transport writes: %+v", got)
	}
	close(done)
	eventually(t, "the memory is back", func() bool { return r.budget.Usage()[metrics.Receive].Allocated == 0 })
}

func TestMapOutputs(t *testing.T) {
	r := newRig(t, table, nil)
	dir := t.TempDir()
	c := r.dial(t, bridgetest.Hello("app", "1", dir))
	data, index := filepath.Join(dir, "shuffle_0_1_0.data"), filepath.Join(dir, "shuffle_0_1_0.index")
	for path, content := range map[string][]byte{data: []byte("abc"), index: {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3}} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	register := func(id uint64, partitions uint32) error {
		return c.Send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_RegisterMapOutput{RegisterMapOutput: &bridgepb.RegisterMapOutput{
			ShuffleId: 0, MapId: id, DataPath: data, IndexPath: index, NumPartitions: partitions,
		}}})
	}
	outputs := func() int { return r.registry.Status()[0].MapOutputs }
	if err := register(1, 1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is registered", func() bool { return outputs() == 1 })

	// One that can't be registered is counted, and the session goes on.
	if err := register(2, shuffle.MaxPartitions+1); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is counted", func() bool { return testutil.ToFloat64(r.metrics.RejectedMapOutputs) == 1 })
	if err := c.Send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_UnregisterShuffle{UnregisterShuffle: &bridgepb.UnregisterShuffle{}}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the shuffle is forgotten", func() bool { return outputs() == 0 })
	mustWork(t, c)
}

func TestFallbackReports(t *testing.T) {
	r := newRig(t, table, nil)
	c := r.dial(t, bridgetest.Hello("app", "1"))
	for range 2 {
		if err := c.Send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_FallbackReport{FallbackReport: &bridgepb.FallbackReport{
			Reason: blockpb.Reason_REASON_PEER_LOST, Blocks: 3, Bytes: 1 << 40,
		}}}); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "they are counted", func() bool {
		return testutil.ToFloat64(r.metrics.FallbackBlocks("peer_lost")) == 6 && testutil.ToFloat64(r.metrics.FallbackBytes("peer_lost")) == 2<<40
	})
}

func TestSessionsAreCounted(t *testing.T) {
	r := newRig(t, table, nil)
	one, two := r.dial(t, bridgetest.Hello("app", "1")), r.dial(t, bridgetest.Hello("app", "2"))
	one.Close()
	if got := []int{<-r.open, <-r.open, <-r.open}; fmt.Sprint(got) != "[1 2 1]" {
		t.Errorf("numbers of sessions %v", got)
	}
	two.Close()
	if n := <-r.open; n != 0 {
		t.Errorf("%d sessions after the last one", n)
	}
	if n := testutil.ToFloat64(r.metrics.Sessions); n != 0 {
		t.Errorf("the gauge says %v", n)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	r := newRig(t, fetchFunc(func(ctx context.Context, _ *shuffle.FetchRequest, sink shuffle.Sink) {
		go func() {
			<-ctx.Done()
			sink.Failed([]int{0}, shuffle.ReasonCancelled, "")
		}()
	}), nil)
	c := r.dial(t, bridgetest.Hello("app", "1"))
	f, err := c.Fetch(fetchOf(false, "rdd_1_1"))
	if err != nil {
		t.Fatal(err)
	}
	idle := r.connect(t)
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	mustEnd(t, c)
	// The failure may still have reached the executor before the socket was closed.
	if blocks, err := f.Wait(t.Context()); err == nil && blocks[0].Reason != blockpb.Reason_REASON_CANCELLED {
		t.Errorf("a fetch ended with %+v in a daemon that closed", blocks)
	}
	if _, err := idle.Read(make([]byte, 1)); err == nil {
		t.Error("a connection without a session is still open")
	}
	if _, err := bridgetest.Dial(r.socket, bridgetest.Hello("app", "1")); err == nil {
		t.Error("connected to a closed server")
	}
}
