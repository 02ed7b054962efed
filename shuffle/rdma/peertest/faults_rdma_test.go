//go:build rdma

package peertest

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"weft/internal/leakcheck"
	"weft/shuffle/rdma"
	"weft/verbs"
	"weft/verbs/verbstest"
)

// peerVariable is the address of the host that the owner runs on, wireVariable the netdev of this host that leads there.
const (
	peerVariable = "WEFT_TEST_PEER"
	wireVariable = "WEFT_TEST_WIRE"
)

// far is an owner on the other host.
type far struct {
	device *rdma.Device
	pd     *verbs.PD
	target []byte
	here   *verbs.MR

	conn net.Conn
	in   *gob.Decoder
	out  *gob.Encoder
	at   answer
}

func newFar(t *testing.T, opts rdma.Options) *far {
	t.Helper()
	leakcheck.Check(t)
	ctx := verbstest.Device(t)
	opts.Log = slog.New(slog.DiscardHandler)
	device, err := rdma.NewDevice(ctx, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verbstest.Close(t, device) })
	f := &far{device: device}
	if f.pd, err = ctx.AllocPD(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verbstest.Close(t, f.pd) })
	f.target = verbstest.Memory(t, ownerBytes)
	if f.here, err = f.pd.RegMR(f.target, verbs.LocalWrite); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { verbstest.Close(t, f.here) })
	f.reach(t)
	t.Cleanup(func() { _ = f.conn.Close() })
	return f
}

// reach connects with the owner, which may be on its way up.
func (f *far) reach(t *testing.T) {
	t.Helper()
	addr := netip.AddrPortFrom(netip.MustParseAddr(os.Getenv(peerVariable)), ownerPort)
	for end := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		conn, err := net.DialTimeout("tcp", addr.String(), time.Second)
		if err == nil {
			f.conn, f.in, f.out = conn, gob.NewDecoder(conn), gob.NewEncoder(conn)
			return
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

func (f *far) order(t *testing.T, do string, tc ...string) answer {
	t.Helper()
	var a answer
	err := f.out.Encode(order{do, tc})
	if err == nil {
		_ = f.conn.SetReadDeadline(time.Now().Add(limit))
		err = f.in.Decode(&a)
	}
	if err != nil || a.Err != "" {
		t.Fatalf("%s: %v %s", do, err, a.Err)
	}
	f.at = a
	return a
}

func (f *far) dial(t *testing.T) *rdma.Conn {
	t.Helper()
	a := f.order(t, "offer")
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	c, err := f.device.Dial(ctx, f.pd, a.Listener, a.Token)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return c
}

const (
	piece = 64 << 10
	limit = verbstest.Patience
)

// readAll reads all that the owner has, and returns the outcome of each piece.
func (f *far) readAll(c *rdma.Conn) []chan error {
	outcomes := make([]chan error, ownerBytes/piece)
	reads := make([]rdma.Read, len(outcomes))
	for i := range reads {
		outcomes[i] = make(chan error, 1)
		reads[i] = rdma.Read{
			Local:  f.here.SGE(i*piece, piece),
			Remote: verbs.Remote{Addr: f.at.Source.Addr + uint64(i*piece), RKey: f.at.Source.RKey},
			Done:   func(err error) { outcomes[i] <- err },
		}
	}
	c.Read(reads...)
	return outcomes
}

// check waits for all pieces: those that ended without an error have to have the owner's bytes. It returns how many have, and the others'
// error.
func (f *far) check(t *testing.T, outcomes []chan error) (right int, failed error) {
	t.Helper()
	want := sourceBytes()
	for i, ch := range outcomes {
		switch err := result(t, ch); {
		case err != nil:
			failed = err
		case !bytes.Equal(f.target[i*piece:(i+1)*piece], want[i*piece:(i+1)*piece]):
			t.Fatalf("piece %d has other bytes", i)
		default:
			right++
		}
	}
	return right, failed
}

// works fails the test unless a new connection brings everything.
func (f *far) works(t *testing.T) {
	t.Helper()
	clear(f.target)
	if right, err := f.check(t, f.readAll(f.dial(t))); right != ownerBytes/piece {
		t.Errorf("a new connection brought %d pieces: %v", right, err)
	}
}

func result(t *testing.T, ch <-chan error) error {
	t.Helper()
	return verbstest.Await(t, ch, "a READ")
}

// gone waits for the end of the connection.
func gone(t *testing.T, c *rdma.Conn) {
	t.Helper()
	verbstest.Await(t, c.Gone(), "the end of the connection")
}

// dropped is in what tc says of a rule that has lost frames.
var dropped = regexp.MustCompile(`dropped [1-9]`)

// wire runs tc on the wire to the owner.
func wire(t *testing.T, args ...string) {
	t.Helper()
	args = append([]string{"qdisc"}, args...)
	if out, err := exec.Command("tc", args...).CombinedOutput(); err != nil {
		t.Fatalf("tc %v: %v %s", args, err, out)
	}
}

// lossy puts a rule on what this host sends, until the returned function, or the test's end, takes it off.
func lossy(t *testing.T, rule ...string) (mend func()) {
	t.Helper()
	dev := os.Getenv(wireVariable)
	wire(t, append([]string{"add", "dev", dev, "root", "netem"}, rule...)...)
	mended := false
	mend = func() {
		if !mended {
			mended = true
			wire(t, "del", "dev", dev, "root")
		}
	}
	t.Cleanup(mend)
	return mend
}

func TestPeerSendsEverything(t *testing.T) {
	f := newFar(t, rdma.Options{})
	f.works(t)
}

// Nothing that this host sends arrives any more, for ever: the device gives up after (Retries + 1) times its time-out.
func TestPeerBehindABlackHole(t *testing.T) {
	f := newFar(t, rdma.Options{})
	c := f.dial(t)
	mend := lossy(t, "loss", "100%")
	begin := time.Now()
	_, err := f.check(t, f.readAll(c))
	if !errors.Is(err, verbs.WCRetryExcErr) {
		t.Errorf("%v, want that the peer does not acknowledge", err)
	}
	gone(t, c)
	// 2.7 s as the options say; the library's own time-outs would be 15 s.
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("it took %v to notice", took)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	mend()
	f.works(t)
}

// The same for three seconds, about what the device has patience for: what arrives is right, the others have an error.
func TestPeerBehindABlackHoleForAWhile(t *testing.T) {
	f := newFar(t, rdma.Options{Retries: 6})
	c := f.dial(t)
	mend := lossy(t, "loss", "100%")
	outcomes := f.readAll(c)
	time.Sleep(3 * time.Second) // the fault itself
	if out, err := exec.Command("tc", "-s", "qdisc", "show", "dev", os.Getenv(wireVariable), "root").CombinedOutput(); !dropped.Match(out) {
		t.Errorf("nothing was dropped: %v %s", err, out)
	}
	mend()
	right, err := f.check(t, outcomes)
	t.Logf("%d of %d pieces arrived; error of the others: %v", right, len(outcomes), err)
	if right < len(outcomes) && err == nil {
		t.Error("pieces are missing, and nobody says why")
	}
	f.works(t)
}

// One frame in a hundred of what the peer sends is lost. Each costs a time-out, and no byte.
func TestLossOnTheWayFromThePeer(t *testing.T) {
	f := newFar(t, rdma.Options{Retries: 6})
	c := f.dial(t)
	dev := os.Getenv(wireVariable) // the same on both hosts
	f.order(t, "tc", "qdisc", "add", "dev", dev, "root", "netem", "loss", "1%")
	defer f.order(t, "tc", "qdisc", "del", "dev", dev, "root")
	if right, err := f.check(t, f.readAll(c)); right != ownerBytes/piece {
		t.Errorf("%d pieces arrived: %v", right, err)
	}
	if a := f.order(t, "tc", "-s", "qdisc", "show", "dev", dev, "root"); !dropped.MatchString(a.Text) {
		t.Errorf("no frame was lost: %s", a.Text)
	}
}

// A READ from a process that was killed ends only when this side disconnects, too; nobody waits for a time-out.
func TestPeerKilled(t *testing.T) {
	f := newFar(t, rdma.Options{AckTimeout: 22, Retries: 6}) // two minutes of patience: it must not be that
	c := f.dial(t)
	lossy(t, "delay", "300ms") // so that READs are under way
	outcomes := f.readAll(c)
	if err := f.out.Encode(order{Do: "die"}); err != nil {
		t.Fatal(err)
	}
	_, err := f.check(t, outcomes)
	if err == nil || !strings.Contains(err.Error(), "ended: ") {
		t.Errorf("%v, want that the peer ended the connection", err)
	}
	gone(t, c)
	_ = f.conn.Close()
	f.reach(t) // whoever takes its place
	f.works(t)
}

// The owner takes the memory away while it is read.
func TestPeerRevokesMemory(t *testing.T) {
	f := newFar(t, rdma.Options{})
	c := f.dial(t)
	f.order(t, "revoke")
	right, err := f.check(t, f.readAll(c))
	if right != 0 || !errors.Is(err, verbs.WCRemAccessErr) {
		t.Errorf("%d pieces of memory that is gone: %v", right, err)
	}
	_ = f.conn.Close()
	f.reach(t)
	f.works(t)
}

// A peer that asks for what it may not have, by a wrong key or beyond the region, gets nothing; others are not disturbed.
func TestHostileReader(t *testing.T) {
	f := newFar(t, rdma.Options{})
	good := f.dial(t)
	for name, from := range map[string]verbs.Remote{
		"wrong rkey": {Addr: f.at.Source.Addr, RKey: f.at.Source.RKey ^ 0x100},
		"beyond":     {Addr: f.at.Source.Addr + ownerBytes - piece + 1, RKey: f.at.Source.RKey},
		"far beyond": {Addr: ^uint64(0) - piece, RKey: f.at.Source.RKey},
	} {
		c := f.dial(t)
		ended := make(chan error, 1)
		c.Read(rdma.Read{Local: f.here.SGE(0, piece), Remote: from, Done: func(err error) { ended <- err }})
		if err := result(t, ended); !errors.Is(err, verbs.WCRemAccessErr) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.Equal(f.target[:piece], make([]byte, piece)) {
			t.Errorf("%s: something was delivered", name)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if right, err := f.check(t, f.readAll(good)); right != ownerBytes/piece {
		t.Errorf("another connection, meanwhile: %d pieces, %v", right, err)
	}
	for end := time.Now().Add(limit); f.order(t, "readers").Number > 1; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the owner has %d readers still", f.at.Number)
		}
	}
}

// The host vanishes: the last test, by its file, too, since it does not come back.
func TestZPeerVanishes(t *testing.T) {
	f := newFar(t, rdma.Options{})
	c := f.dial(t)
	lossy(t, "delay", "300ms")
	outcomes := f.readAll(c)
	if err := f.out.Encode(order{Do: "vanish"}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.check(t, outcomes); !errors.Is(err, verbs.WCRetryExcErr) {
		t.Errorf("%v, want that the peer does not acknowledge", err)
	}
	a := f.at
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if _, err := f.device.Dial(ctx, f.pd, a.Listener, a.Token); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("dialling a host that is gone: %v", err)
	}
}
