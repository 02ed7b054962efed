package daemon

import (
	"errors"
	"strings"
	"testing"

	"weft/internal/leakcheck"
	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
	"weft/jvmbridge/bridgetest"
)

// An application gets nothing of another one, on whichever daemon.
func TestApplicationsAreStrangers(t *testing.T) {
	leakcheck.Check(t)
	a, b := startDaemon(t, testOptions(t)), startDaemon(t, testOptions(t))
	owner := join(t, b.BridgeSocket, "app-1", "1")
	owner.mapOutput(t, 0, 0, 10)
	other := join(t, b.BridgeSocket, "app-2", "2") // the same shuffle, of an application of its own
	want := other.mapOutput(t, 0, 0, 20)

	for _, socket := range []string{a.BridgeSocket, b.BridgeSocket} {
		thief := join(t, socket, "app-2", "9")
		wantReason(t, thief.fetch(t, thief.shuffled(owner, 0, 0, 1)), blockpb.Reason_REASON_OWNER_GONE)
		got := thief.fetch(t, thief.shuffled(other, 0, 0, 1))
		if got[0].Reason != 0 || string(got[0].Bytes) != string(want[0]) {
			t.Errorf("own application: %v %s", got[0].Reason, got[0].Detail)
		}
		thief.Close()
	}
}

// The name of an application is not enough without its secret: neither for a session nor, through another daemon, for its blocks.
func TestTokenOpensAnApplication(t *testing.T) {
	leakcheck.Check(t)
	a, b := startDaemon(t, testOptions(t)), startDaemon(t, testOptions(t))
	owner := join(t, b.BridgeSocket, "app", "1")
	owner.mapOutput(t, 0, 0, 10)

	hello := bridgetest.Hello("app", "9", t.TempDir())
	hello.AppToken = []byte(strings.Repeat("x", 32))
	var refused *bridgetest.RefusedError
	if _, err := bridgetest.Dial(b.BridgeSocket, hello); !errors.As(err, &refused) || !strings.Contains(refused.Detail, "another token") {
		t.Errorf("session with a wrong token: %v", err)
	}
	client, err := bridgetest.Dial(a.BridgeSocket, hello) // this daemon does not know the application yet
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	thief := &executor{Client: client, name: "9"}
	wantReason(t, thief.fetch(t, thief.shuffled(owner, 0, 0, 1)), blockpb.Reason_REASON_PEER_REFUSED)
}

// What breaks the rules ends its own session and nothing else.
func TestViolationsEndTheirSessionAlone(t *testing.T) {
	leakcheck.Check(t)
	a := startDaemon(t, testOptions(t))
	good := join(t, a.BridgeSocket, "app", "good")
	want := good.mapOutput(t, 0, 0, 1000)
	before := a.status(t)
	for name, violate := range map[string]func(e *executor) error{
		"random bytes": func(e *executor) error { return e.SendBytes(bytesOf(4096, 1)) },
		"torn frame":   func(e *executor) error { return e.SendBytes([]byte{0, 0, 0, 9, 1}) },
		"empty frame":  func(e *executor) error { return e.Send(&bridgepb.ToDaemon{}) },
		"path outside": func(e *executor) error {
			return e.Send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_RegisterMapOutput{RegisterMapOutput: &bridgepb.RegisterMapOutput{
				DataPath: "/etc/passwd", IndexPath: "/etc/passwd", NumPartitions: 1,
			}}})
		},
		"lease that is not out": func(e *executor) error {
			return e.Send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Release{Release: &bridgepb.Release{Lease: []uint64{7}, Count: []uint32{1}}}})
		},
	} {
		bad := join(t, a.BridgeSocket, "app", "bad")
		if err := violate(bad); err != nil {
			t.Fatal(err)
		}
		if name == "torn frame" {
			bad.Close()
		}
		eventually(t, name, func() bool { return len(a.status(t).Sessions) == 1 })
		bad.Close()
	}
	got := good.fetch(t, good.shuffled(good, 0, 0, 1))
	wantBlocks(t, got, want, "mem")
	if after := a.status(t); after.DaemonID != before.DaemonID || after.Sessions[0].ID != before.Sessions[0].ID {
		t.Errorf("the good session became %+v", after.Sessions)
	}
}
