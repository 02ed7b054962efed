package daemon

import (
	"bytes"
	"slices"
	"testing"

	"weft/internal/leakcheck"
	"weft/internal/metrics"
	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
	"weft/internal/status"
	"weft/jvmbridge/bridgetest"
)

// joinEncrypted is join for an executor whose blocks have to be encrypted.
func joinEncrypted(t *testing.T, socket, app, name string) *executor {
	t.Helper()
	e := &executor{name: name, dir: t.TempDir()}
	hello := bridgetest.Hello(app, name, e.dir)
	hello.Features = bridgetest.Encrypt
	var err error
	if e.Client, err = bridgetest.Dial(socket, hello); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	return e
}

// Two daemons serve an application whose blocks have to be encrypted and one whose need not, side by side: blocks of all kinds of the first
// go over TLS, and those of the second do not.
func TestEncryptedAndPlainApplications(t *testing.T) {
	leakcheck.Check(t)
	a, b := startDaemon(t, testOptions(t)), startDaemon(t, testOptions(t))
	reader, owner := joinEncrypted(t, a.BridgeSocket, "secret", "1"), joinEncrypted(t, b.BridgeSocket, "secret", "2")
	plainReader, plainOwner := join(t, a.BridgeSocket, "plain", "1"), join(t, b.BridgeSocket, "plain", "2")
	want, plain := owner.mapOutput(t, 3, 7, sizes...), plainOwner.mapOutput(t, 3, 7, sizes...)
	small, large := bytesOf(1000, 1), bytesOf(3<<20, 2)
	owner.Serve(func(name string) bridgetest.Answer {
		if name == "broadcast_1_piece0" {
			return bridgetest.Answer{Inline: bytes.Clone(small)}
		}
		return bridgetest.Answer{Held: bytes.Clone(large)}
	})
	var total int64
	for range 2 {
		got := reader.fetch(t, reader.shuffled(owner, 3, 7, len(want)))
		wantBlocks(t, got, want, "tcp+tls")
		reader.release(t, got)
		got = plainReader.fetch(t, plainReader.shuffled(plainOwner, 3, 7, len(plain)))
		wantBlocks(t, got, plain, "tcp")
		plainReader.release(t, got)
		got = reader.fetch(t, reader.named(owner, "broadcast_1_piece0", "weightBytes"))
		wantBlocks(t, got, [][]byte{small, large}, "tcp+tls")
		reader.release(t, got)
		total += int64(len(bytes.Join(want, nil)) + len(small) + len(large))
	}
	m := reader.shuffled(owner, 3, 7, len(want))
	m.Delivery = bridgepb.Delivery_DELIVERY_PIECES
	wantBlocks(t, reader.fetch(t, m), want, "tcp+tls")
	total += int64(len(bytes.Join(want, nil)))
	blocks := int64(3*len(want) + 4)

	wantTransfer(t, a.status(t), status.Transfer{Transport: "tcp+tls", Direction: metrics.Received, Blocks: blocks, Bytes: total})
	wantTransfer(t, b.status(t), status.Transfer{Transport: "tcp+tls", Direction: metrics.Served, Blocks: blocks, Bytes: total})
	wantTransfer(t, b.status(t), status.Transfer{Transport: "tcp", Direction: metrics.Served, Blocks: int64(2 * len(plain)), Bytes: int64(2 * len(bytes.Join(plain, nil)))})
	var transports []string
	for _, p := range a.status(t).Peers {
		transports = append(transports, p.Transport)
	}
	if !slices.Contains(transports, "tcp") || !slices.Contains(transports, "tcp+tls") {
		t.Errorf("peers by %q", transports)
	}
	a.wantNoLeases(t)
}

// A reader that does not ask for encryption gets nothing of an application that its owner keeps so, and is told why.
func TestNoDowngradeBetweenDaemons(t *testing.T) {
	leakcheck.Check(t)
	a, b := startDaemon(t, testOptions(t)), startDaemon(t, testOptions(t))
	owner := joinEncrypted(t, b.BridgeSocket, "secret", "2")
	owner.mapOutput(t, 0, 0, 10)
	reader := join(t, a.BridgeSocket, "secret", "1") // with the right token
	wantReason(t, reader.fetch(t, reader.shuffled(owner, 0, 0, 1)), blockpb.Reason_REASON_ENCRYPTED)
	reader.Close()
	eventually(t, "the session ends", func() bool { return len(a.status(t).Sessions) == 0 })
	again := joinEncrypted(t, a.BridgeSocket, "secret", "3")
	got := again.fetch(t, again.shuffled(owner, 0, 0, 1))
	if got[0].Reason != 0 {
		t.Errorf("with encryption: %v %s", got[0].Reason, got[0].Detail)
	}
	again.release(t, got)
}
