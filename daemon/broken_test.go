package daemon

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"weft/internal/leakcheck"
	"weft/internal/pb/blockpb"
	"weft/jvmbridge/bridgetest"
)

// killedSoon bounds how long a fetch may hang on a peer that was killed: it is told at once, so this is for a busy machine.
const killedSoon = 10 * time.Second

func bridgeOf(c *child) string { return filepath.Join(c.dir, BridgeSocket) }

// kill -9 of the peer's daemon, while it owes an answer.
func TestPeerKilled(t *testing.T) {
	a, b := startDaemon(t, testOptions(t)), startChild(t, testOptions(t))
	reader, owner := join(t, a.BridgeSocket, "app", "1"), join(t, bridgeOf(b), "app", "2")
	asked := make(chan struct{}, 1)
	owner.Serve(func(string) bridgetest.Answer {
		asked <- struct{}{}
		return bridgetest.Answer{Silent: true}
	})
	fetch, err := reader.Fetch(reader.named(owner, "rdd_0_0"))
	if err != nil {
		t.Fatal(err)
	}
	<-asked
	b.kill()
	ctx, cancel := context.WithTimeout(t.Context(), killedSoon)
	defer cancel()
	got, err := fetch.Wait(ctx)
	if err != nil {
		t.Fatalf("the fetch hangs: %v", err)
	}
	wantReason(t, got, blockpb.Reason_REASON_PEER_LOST)
	wantReason(t, reader.fetch(t, reader.named(owner, "rdd_0_0")), blockpb.Reason_REASON_PEER_UNREACHABLE)
	eventually(t, "the peer is forgotten", func() bool { return len(a.status(t).Peers) == 0 })
}

// kill -9 while bytes flow: every block ends, and what was delivered is right.
func TestPeerKilledWhileReading(t *testing.T) {
	for round := range 5 {
		a, b := startDaemon(t, testOptions(t)), startChild(t, testOptions(t))
		reader, owner := join(t, a.BridgeSocket, "app", "1"), join(t, bridgeOf(b), "app", "2")
		want := owner.mapOutput(t, 0, 0, 100, 3<<20, 3<<20, 3<<20, 200)
		fetch, err := reader.Fetch(reader.shuffled(owner, 0, 0, len(want)))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(round) * time.Millisecond) // another moment in each round; all of them are right
		b.kill()
		ctx, cancel := context.WithTimeout(t.Context(), killedSoon)
		got, err := fetch.Wait(ctx)
		cancel()
		if err != nil {
			t.Fatalf("the fetch hangs: %v", err)
		}
		for i, block := range got {
			lost := block.Reason == blockpb.Reason_REASON_PEER_LOST || block.Reason == blockpb.Reason_REASON_PEER_UNREACHABLE
			if !lost && !bytes.Equal(block.Bytes, want[i]) {
				t.Errorf("block %d: %v %s, %d bytes", i, block.Reason, block.Detail, len(block.Bytes))
			}
		}
		reader.release(t, got)
		a.wantNoLeases(t)
		a.stop()
	}
}

// The own daemon dies: the executor sees the end of its session.
func TestOwnDaemonKilled(t *testing.T) {
	b := startChild(t, testOptions(t))
	e := join(t, bridgeOf(b), "app", "1")
	b.kill()
	select {
	case <-e.Done():
	case <-time.After(killedSoon):
		t.Fatal("the session goes on")
	}
}

// A data file that became shorter is an error of its blocks; the daemon that serves it lives on.
func TestTruncatedDataFile(t *testing.T) {
	a, b := startDaemon(t, testOptions(t)), startChild(t, testOptions(t))
	reader, owner := join(t, a.BridgeSocket, "app", "1"), join(t, bridgeOf(b), "app", "2")
	before := statusOf(t, b.dir)
	want := owner.mapOutput(t, 0, 0, 1<<20, 1<<20)
	sane := owner.mapOutput(t, 0, 1, 1<<20)

	for _, size := range []int64{1<<20 + 4096, 100, 0} {
		got := reader.fetch(t, reader.shuffled(owner, 0, 1, 1))
		wantBlocks(t, got, sane, "tcp")
		reader.release(t, got)
		if err := os.Truncate(owner.data(0, 0), size); err != nil {
			t.Fatal(err)
		}
		got = reader.fetch(t, reader.shuffled(owner, 0, 0, len(want)))
		for i, block := range got {
			if block.Reason != blockpb.Reason_REASON_BAD_MAP_OUTPUT && (block.Reason != 0 || !bytes.Equal(block.Bytes, want[i])) {
				t.Errorf("size %d, block %d: %v %s", size, i, block.Reason, block.Detail)
			}
		}
		if got[1].Reason == 0 {
			t.Errorf("size %d: the block whose bytes are missing was delivered", size)
		}
		reader.release(t, got)
	}
	if after := statusOf(t, b.dir); after.PID != before.PID || after.DaemonID != before.DaemonID {
		t.Errorf("another daemon: %+v", after)
	}
}

// Daemons end while executors are connected, hold leases and wait: soon, and with nothing left behind.
func TestEndInTheMiddle(t *testing.T) {
	leakcheck.Check(t)
	a, b := startDaemon(t, testOptions(t)), startDaemon(t, testOptions(t))
	reader, owner := join(t, a.BridgeSocket, "app", "1"), join(t, b.BridgeSocket, "app", "2")
	want := owner.mapOutput(t, 0, 0, sizes...)
	asked := make(chan struct{}, 1)
	owner.Serve(func(string) bridgetest.Answer {
		asked <- struct{}{}
		return bridgetest.Answer{Silent: true}
	})
	held := reader.fetch(t, reader.shuffled(owner, 0, 0, len(want)))
	waiting, err := reader.Fetch(reader.named(owner, "rdd_0_0"))
	if err != nil {
		t.Fatal(err)
	}
	<-asked
	a.stop()
	ctx, cancel := context.WithTimeout(t.Context(), killedSoon)
	defer cancel()
	if got, err := waiting.Wait(ctx); err == nil && got[0].Reason == 0 {
		t.Error("the fetch of an ended daemon succeeded")
	}
	wantBlocks(t, held, want, "tcp") // what the executor was given stays readable
	b.stop()
}

// A daemon of mode auto leaves after its last session.
func TestLeavesAfterTheLastSession(t *testing.T) {
	leakcheck.Check(t)
	opts := testOptions(t)
	opts.DaemonGrace = 300 * time.Millisecond
	a := startDaemon(t, opts)
	e := join(t, a.BridgeSocket, "app", "1")
	e.settle(t)
	select {
	case <-a.ended:
		t.Fatal("it left while an executor was connected")
	case <-time.After(2 * opts.DaemonGrace):
	}
	e.Close()
	select {
	case <-a.ended:
	case <-time.After(patience):
		t.Fatal("it stayed")
	}
}
