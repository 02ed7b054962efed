package daemon

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weft/internal/leakcheck"
	"weft/internal/metrics"
	"weft/internal/options"
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

// What a daemon leaves of an application whose blocks have to be encrypted goes under TLS alone from the next one, too; where the record does not
// say whether that is so, nothing goes.
func TestNextDaemonDoesNotDowngrade(t *testing.T) {
	for what, change := range map[string]func(record string) string{
		"as it was left": func(record string) string { return record },
		"not said":       func(record string) string { return strings.Replace(record, `,"Encrypted":true`, "", 1) },
		"nothing said":   func(record string) string { return strings.Replace(record, `"Encrypted":true`, `"Encrypted":null`, 1) },
	} {
		t.Run(what, func(t *testing.T) {
			leakcheck.Check(t)
			opts := testOptions(t)
			c := startChild(t, opts)
			owner := joinKeptWith(t, filepath.Join(c.dir, BridgeSocket), "1", startDriver(t), outlives|bridgetest.Encrypt)
			want := owner.mapOutput(t, 0, 0, 10, 100_000)
			c.kill()
			owner.end(t)
			path := records(t, opts.SocketDir)[0]
			record, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			changed := change(string(record))
			if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}

			port := uint16(owner.Welcome.GetPeerPort())
			opts.NetPort = options.PortRange{Low: port, High: port}
			next, a, b := startDaemon(t, opts), startDaemon(t, testOptions(t)), startDaemon(t, testOptions(t))
			reader, plain := joinEncrypted(t, a.BridgeSocket, "app", "2"), join(t, b.BridgeSocket, "app", "3")
			got := reader.fetch(t, reader.shuffled(owner, 0, 0, 2))
			if changed != string(record) {
				if len(next.status(t).Departed) != 0 {
					t.Errorf("%+v", next.status(t).Departed)
				}
				if got[0].Reason == 0 || len(records(t, opts.SocketDir)) != 1 {
					t.Errorf("%v; recorded in %v", got[0].Reason, records(t, opts.SocketDir))
				}
				return
			}
			wantBlocks(t, got, want, "tcp+tls")
			reader.release(t, got)
			wantReason(t, plain.fetch(t, plain.shuffled(owner, 0, 0, 2)), blockpb.Reason_REASON_ENCRYPTED)
			if _, err := bridgetest.Dial(next.BridgeSocket, bridgetest.Hello("app", "4")); err == nil || !strings.Contains(err.Error(), "have to be encrypted") {
				t.Errorf("an executor without encryption: %v", err)
			}
		})
	}
}
