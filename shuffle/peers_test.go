package shuffle_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/mem"
	"weft/shuffle/mempool"
	"weft/shuffle/quota"
	"weft/shuffle/transporttest"
)

// named is transport mem under another name, which tells how often it was dialled and with which connections.
type named struct {
	shuffle.Transport
	name string

	mu    sync.Mutex
	dials int
	err   error
	conns []shuffle.Conn
}

func (n *named) Name() string { return n.name }

func (n *named) Dial(ctx context.Context, peer shuffle.PeerAddr) (shuffle.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.dials++
	if n.err != nil {
		return nil, n.err
	}
	c, err := n.Transport.Dial(ctx, peer)
	n.conns = append(n.conns, c)
	return c, err
}

func (n *named) set(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err = err
}

func (n *named) count() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

// cluster is a Peers with two transports to a source, and the own daemon's.
type cluster struct {
	t                 *testing.T
	src               *transporttest.Source
	fast, slow, local *named
	tls               *named // for what has to be encrypted
	metrics           *metrics.Set
	peers             *shuffle.Peers
	fetcher           *shuffle.Fetcher
	arena             *mempool.Arena
	ids               []shuffle.BlockID
	data              [][]byte
}

func newCluster(t *testing.T, retry, backoff time.Duration, with ...func(*shuffle.PeersOptions)) *cluster {
	t.Helper()
	c := &cluster{t: t, src: transporttest.NewSource(t), metrics: metrics.NewSet()}
	transport := mem.New(c.src, c.metrics)
	c.fast, c.slow = &named{Transport: transport, name: "rdma"}, &named{Transport: transport, name: "tcp"}
	c.local, c.tls = &named{Transport: transport, name: "mem"}, &named{Transport: transport, name: "tcp+tls"}
	log := slog.New(slog.DiscardHandler)
	opts := shuffle.PeersOptions{
		DaemonID: ownID, Local: c.local, Transports: []shuffle.Transport{c.fast, c.slow},
		Encrypted: []shuffle.Transport{c.tls}, Retry: retry, Backoff: backoff,
	}
	for _, change := range with {
		change(&opts)
	}
	c.peers = shuffle.NewPeers(opts, c.metrics, log)
	c.fetcher = shuffle.NewFetcher(c.peers, fetchOptions(), c.metrics, log)
	c.arena = newArena(t, mempool.NewBudget(mib), mib)
	t.Cleanup(c.peers.Close)
	c.ids, c.data = c.src.Add(10, 20*kib)
	return c
}

// fetch fetches the blocks from a daemon and returns how that went and over which transport.
func (c *cluster) fetch(daemon [16]byte) (*recorder, string) {
	return c.fetchOf(shuffle.App{}, daemon)
}

func (c *cluster) fetchOf(app shuffle.App, daemon [16]byte) (*recorder, string) {
	req := &shuffle.FetchRequest{App: app, Peer: shuffle.PeerAddr{DaemonID: daemon}, Blocks: c.ids, Arena: c.arena}
	rec := newRecorder(c.t, req)
	over := &transportOf{recorder: rec}
	c.fetcher.Fetch(c.t.Context(), req, over)
	rec.wait()
	return rec, over.name
}

type transportOf struct {
	*recorder
	name string
}

func (s *transportOf) Delivered(d shuffle.Delivery) {
	s.name = d.Transport
	s.recorder.Delivered(d)
}

func (c *cluster) expect(daemon [16]byte, transport string) {
	c.t.Helper()
	rec, over := c.fetch(daemon)
	rec.check(c.data, shuffle.ReasonNone)
	if over != transport {
		c.t.Errorf("blocks came over %q, want %q", over, transport)
	}
}

func TestPeersShareConnections(t *testing.T) {
	c := newCluster(t, time.Hour, time.Hour)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			rec, _ := c.fetch(peerID)
			rec.check(c.data, shuffle.ReasonNone)
		})
	}
	all.Wait()
	if c.fast.count() != 1 || c.slow.count() != 0 || c.local.count() != 0 {
		t.Errorf("%d, %d and %d dials, want one", c.fast.count(), c.slow.count(), c.local.count())
	}
	if n := testutil.ToFloat64(c.metrics.Peers("rdma")); n != 1 {
		t.Errorf("%v peers were counted", n)
	}
	c.expect([16]byte{3}, "rdma")
	if c.fast.count() != 2 {
		t.Errorf("%d dials for two peers", c.fast.count())
	}
}

// Blocks that have to be encrypted come over connections of their own; no other one will do, be it there or not. To the own daemon there is one.
func TestPeersEncrypt(t *testing.T) {
	c := newCluster(t, time.Hour, time.Hour)
	secret := shuffle.App{ID: "secret", Encrypted: true}
	c.src.Admit(secret)
	for range 2 {
		for app, want := range map[shuffle.App]string{{}: "rdma", secret: "tcp+tls"} {
			rec, over := c.fetchOf(app, peerID)
			if rec.check(c.data, shuffle.ReasonNone); over != want {
				t.Errorf("%v: blocks came over %q, want %q", app.Encrypted, over, want)
			}
		}
	}
	if c.fast.count() != 1 || c.tls.count() != 1 {
		t.Errorf("%d and %d dials", c.fast.count(), c.tls.count())
	}
	var shown []string
	for _, p := range c.peers.Status() {
		shown = append(shown, p.Transport)
	}
	if want := []string{"rdma", "tcp+tls"}; !slices.Equal(shown, want) {
		t.Errorf("status: %q, want %q", shown, want)
	}
	c.expect(ownID, "mem")
	if _, over := c.fetchOf(secret, ownID); over != "mem" || c.local.count() != 1 {
		t.Errorf("own blocks came over %q, %d dials", over, c.local.count())
	}
	c.tls.set(errors.New("no TLS today"))
	other := [16]byte{3}
	c.expect(other, "rdma")
	rec, _ := c.fetchOf(secret, other)
	rec.check(c.data, shuffle.ReasonPeerUnreachable, 0, 1)
}

// Peers count for the application that was the first to name them, those that are reached with encryption beside those without.
func TestPeersOfOneApplication(t *testing.T) {
	pool := quota.New(4, 50, nil)
	c := newCluster(t, time.Hour, time.Hour, func(o *shuffle.PeersOptions) { o.Most = pool })
	plain, secret := shuffle.App{ID: "plain"}, shuffle.App{ID: "secret", Encrypted: true}
	c.src.Admit(plain)
	c.src.Admit(secret)
	for _, want := range []struct {
		app    shuffle.App
		daemon [16]byte
		over   string // empty: refused
	}{
		{secret, peerID, "tcp+tls"},
		{secret, [16]byte{3}, "tcp+tls"},
		{secret, [16]byte{4}, ""}, // half of 4
		{secret, ownID, "mem"},
		{plain, peerID, "rdma"}, // another one, to the same peer
		{plain, [16]byte{3}, ""},
		{secret, peerID, "tcp+tls"},
	} {
		rec, over := c.fetchOf(want.app, want.daemon)
		if over != want.over {
			t.Errorf("%s from %x: over %q, want %q", want.app, want.daemon[0], over, want.over)
		}
		if over == "" {
			rec.check(c.data, shuffle.ReasonPeerUnreachable, 0, 1)
		}
	}
	if pool.Used("secret") != 2 || pool.Used("plain") != 1 {
		t.Errorf("%v", pool.Usage())
	}
}

// No fetch goes to just any daemon.
func TestPeersRefuseAnyDaemon(t *testing.T) {
	c := newCluster(t, time.Hour, time.Hour)
	rec, _ := c.fetch([16]byte{})
	rec.check(nil, shuffle.ReasonInternal, 0, 1)
	if n := c.fast.count() + c.slow.count() + c.local.count(); n != 0 {
		t.Errorf("%d dials", n)
	}
}

func TestPeersOwnDaemon(t *testing.T) {
	c := newCluster(t, time.Hour, time.Hour)
	c.expect(ownID, "mem")
	if c.fast.count()+c.slow.count() != 0 {
		t.Error("the own daemon was dialled")
	}
}

// A transport that fails is left out for the back-off, then tried again.
func TestPeersTransportsInOrder(t *testing.T) {
	const backoff = 50 * time.Millisecond
	c := newCluster(t, time.Nanosecond, backoff)
	c.fast.set(errors.New("no device"))
	c.expect(peerID, "tcp")
	if c.fast.count() != 1 || c.slow.count() != 1 {
		t.Errorf("%d and %d dials", c.fast.count(), c.slow.count())
	}
	c.fast.set(nil)
	c.expect([16]byte{3}, "rdma") // another peer has nothing to do with it
	for end := time.Now().Add(patience); ; time.Sleep(backoff / 5) {
		_ = c.slow.conns[len(c.slow.conns)-1].Close() // the connection breaks
		if rec, over := c.fetch(peerID); len(rec.fail) == 0 && over == "rdma" {
			break
		}
		if time.Now().After(end) {
			t.Fatal("the transport was never tried again")
		}
	}
}

func TestPeersRememberFailures(t *testing.T) {
	c := newCluster(t, time.Hour, time.Hour)
	c.fast.set(errors.New("no device"))
	c.slow.set(errors.New("no route"))
	for range 3 {
		rec, _ := c.fetch(peerID)
		rec.check(c.data, shuffle.ReasonPeerUnreachable, 0, 1)
		if d := rec.details[0]; !strings.Contains(d, "no device") || !strings.Contains(d, "no route") {
			t.Errorf("detail %q", d)
		}
	}
	if c.fast.count() != 1 || c.slow.count() != 1 {
		t.Errorf("%d and %d dials for three fetches", c.fast.count(), c.slow.count())
	}
	if n := testutil.ToFloat64(c.metrics.PeerDials("tcp", metrics.Failed)); n != 1 {
		t.Errorf("%v failed dials were counted", n)
	}
	c.slow.set(shuffle.Errorf(shuffle.ReasonPeerRefused, "version 7"))
	rec, _ := c.fetch([16]byte{3})
	rec.check(c.data, shuffle.ReasonPeerRefused, 0, 1)
}

func TestPeersConnectionBreaks(t *testing.T) {
	c := newCluster(t, time.Hour, time.Hour)
	c.slow.err = errors.New("no route")
	c.expect(peerID, "rdma")
	_ = c.fast.conns[0].Close()
	c.expect(peerID, "rdma") // a new connection, over the transport that is left
	if c.fast.count() != 2 {
		t.Errorf("%d dials", c.fast.count())
	}
	for end := time.Now().Add(patience); testutil.ToFloat64(c.metrics.PeerLosses("rdma")) != 1; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the loss was not counted")
		}
	}
}

// A fetch does not wait for a slow connection longer than its own time-out, nor when it is cancelled.
func TestPeersSlowDial(t *testing.T) {
	r := newRig(t, "dial * delay 1h", mib, fetchOptions())
	ids, data := r.src.Add(10)
	rec := r.fetch(t.Context(), ids, func(req *shuffle.FetchRequest, _ *recorder) { req.Timeout = 5 * time.Millisecond })
	rec.check(data, shuffle.ReasonTimeout, 0)
	ctx, cancel := context.WithCancelCause(t.Context())
	rec = r.fetch(ctx, ids, nil)
	cancel(shuffle.ErrCancelled)
	rec.check(data, shuffle.ReasonCancelled, 0)
}

func TestPeersClosed(t *testing.T) {
	c := newCluster(t, time.Hour, time.Hour)
	c.expect(peerID, "rdma")
	c.peers.Close()
	rec, _ := c.fetch(peerID)
	rec.check(c.data, shuffle.ReasonPeerUnreachable, 0, 1)
	select {
	case <-c.fast.conns[0].Closed():
	default:
		t.Error("a connection outlived Close")
	}
	if n := testutil.ToFloat64(c.metrics.Peers("rdma")); n != 0 {
		t.Errorf("%v peers are left", n)
	}
}
