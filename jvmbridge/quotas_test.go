package jvmbridge_test

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
	"weft/jvmbridge"
	"weft/jvmbridge/bridgetest"
	"weft/shuffle"
	"weft/shuffle/quota"
)

// One application has as many sessions as its share; another one still gets one.
func TestSessionsOfOneApplication(t *testing.T) {
	pool := quota.New(8, 50, nil)
	r := newRig(t, fetchFunc(nil), func(o *jvmbridge.Options) { o.Quotas.Sessions = pool })
	var sessions []*bridgetest.Client
	for range 4 { // of one executor: each takes the place of the one before, which does not end
		sessions = append(sessions, r.dial(t, bridgetest.Hello("greedy", "1", t.TempDir())))
	}
	var refused *bridgetest.RefusedError
	if _, err := bridgetest.Dial(r.socket, bridgetest.Hello("greedy", "2", t.TempDir())); !errors.As(err, &refused) || !strings.Contains(refused.Detail, "weft.app.share") {
		t.Errorf("the fifth session: %v", err)
	}
	r.dial(t, bridgetest.Hello("other", "1", t.TempDir())).Close()
	sessions[0].Close()
	eventually(t, "the end of a session", func() bool { return pool.Used("greedy") == 3 && pool.Used("other") == 0 })
	r.dial(t, bridgetest.Hello("greedy", "2", t.TempDir()))
}

// One application has as many requests under way as its share, by as many sessions as it likes.
func TestRequestsOfOneApplication(t *testing.T) {
	pool := quota.New(1000, 50, nil) // 7 requests for one block of each application, then 3
	hold := fetchFunc(func(ctx context.Context, req *shuffle.FetchRequest, sink shuffle.Sink) {
		if req.Executor == "served" {
			go sink.Failed([]int{0}, shuffle.ReasonNotFound, "nothing is here")
			return
		}
		context.AfterFunc(ctx, func() { sink.Failed([]int{0}, shuffle.ReasonCancelled, "cancelled") })
	})
	r := newRig(t, hold, func(o *jvmbridge.Options) { o.Quotas.Fetches = pool })
	ask := func(c *bridgetest.Client, executor string) *bridgetest.Fetch {
		t.Helper()
		f, err := c.Fetch(&bridgepb.Fetch{PeerDaemonId: make([]byte, 16), ExecutorId: executor, Blocks: &blockpb.Blocks{Name: []string{"rdd_0_0"}}})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	a, b := r.dial(t, bridgetest.Hello("greedy", "1", t.TempDir())), r.dial(t, bridgetest.Hello("greedy", "2", t.TempDir()))
	for range 4 {
		ask(a, "held")
	}
	eventually(t, "the first requests", func() bool { return pool.Used("greedy") == 4*65 })
	var last *bridgetest.Fetch
	for range 4 {
		last = ask(b, "held")
	}
	if got, err := last.Wait(t.Context()); err != nil || got[0].Reason != blockpb.Reason_REASON_NO_SPACE || !strings.Contains(got[0].Detail, "weft.app.share") {
		t.Errorf("the eighth: %+v, %v", got, err)
	}
	other := r.dial(t, bridgetest.Hello("other", "1", t.TempDir()))
	if got, err := ask(other, "served").Wait(t.Context()); err != nil || got[0].Reason != blockpb.Reason_REASON_NOT_FOUND {
		t.Errorf("another application: %+v, %v", got, err)
	}
	a.Close()
	b.Close()
	eventually(t, "the end of all", func() bool { return len(pool.Usage()) == 0 })
}

// Small blocks that peers hold open and do not read are bounded; a larger one is no small block.
func TestSmallBlocksOfOneApplication(t *testing.T) {
	pool := quota.New(4000, 50, nil)
	r := newRig(t, fetchFunc(nil), func(o *jvmbridge.Options) { o.Quotas.Inline = pool })
	c := r.dial(t, bridgetest.Hello("app", "1", t.TempDir()))
	c.Serve(func(name string) bridgetest.Answer {
		if name == "too_large" {
			return bridgetest.Answer{Inline: make([]byte, 64<<10+1)}
		}
		return bridgetest.Answer{Inline: make([]byte, 900)}
	})
	var held []shuffle.Found
	for range 2 {
		held = append(held, r.ask(t.Context(), "rdd_0_0")...)
	}
	if more := r.ask(t.Context(), "rdd_0_0"); reasonOf(more[0]) != shuffle.ReasonNoSpace {
		t.Errorf("the third of 900 bytes: %v", more[0].Err)
	}
	if !pool.Take("other", 1000) {
		t.Error("nothing is left for another application")
	}
	for _, f := range held {
		if f.Err != nil {
			t.Fatal(f.Err)
		}
		f.Close()
	}
	if n := pool.Used("app"); n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
	if got := r.ask(t.Context(), "too_large"); reasonOf(got[0]) != shuffle.ReasonOwnerGone {
		t.Errorf("a block that is not small: %v", got[0].Err)
	}
	mustEnd(t, c)
}

// Connections that say nothing are bounded by user, and keep no executor out: the oldest makes way.
func TestSilentConnections(t *testing.T) {
	r := newRig(t, fetchFunc(nil), nil)
	const most = 256
	var silent []net.Conn
	for range most {
		c, err := net.Dial("unix", r.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent = append(silent, c)
	}
	for i := range 3 { // they are greeted in any order
		c, err := bridgetest.Dial(r.socket, bridgetest.Hello("app", strconv.Itoa(i), t.TempDir()))
		if err != nil {
			t.Fatalf("an executor: %v", err)
		}
		defer c.Close()
	}
	eventually(t, "one that made way", func() bool { return testutil.ToFloat64(r.metrics.SessionsRefused) > 0 })
	for _, c := range silent {
		c.Close()
	}
}
