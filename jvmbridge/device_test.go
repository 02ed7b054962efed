package jvmbridge_test

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"weft/internal/metrics"
	"weft/internal/pb/bridgepb"
	"weft/jvmbridge"
	"weft/jvmbridge/bridgetest"
	"weft/shuffle"
	"weft/shuffle/mempool"
)

// devices is a device that sessions join: it counts, and refuses the executors of one application.
type devices struct {
	mu                         sync.Mutex
	joined, left               int
	registered, given, upcalls int // regions; upcalls: those of the upcall arena
}

var errNoDomain = errors.New("out of domains")

func (d *devices) join(app shuffle.App) (jvmbridge.Membership, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if app.ID == "refused" {
		return jvmbridge.Membership{}, errNoDomain
	}
	d.joined++
	return jvmbridge.Membership{Receive: registrar{d, false}, Upcall: registrar{d, true}, Leave: func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.left++
	}}, nil
}

type registrar struct {
	d      *devices
	upcall bool
}

func (r registrar) Register([]byte) (mempool.Registration, error) {
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	r.d.registered++
	if r.upcall {
		r.d.upcalls++
	}
	return r, nil
}

func (r registrar) Close() error {
	r.d.mu.Lock()
	defer r.d.mu.Unlock()
	r.d.given++
	return nil
}

func (d *devices) are(t *testing.T, what string, joined, left, registered, given int) {
	t.Helper()
	eventually(t, what, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.joined == joined && d.left == left && d.registered == registered && d.given == given && d.upcalls == 0
	})
}

// A session joins the device before it has memory and leaves it once, also when it is not let in; what the fetch needs is registered, and given back.
func TestSessionsJoinTheDevice(t *testing.T) {
	d := &devices{}
	r := newRig(t, table, func(o *jvmbridge.Options) { o.Join = d.join })
	c := r.dial(t, bridgetest.Hello("app", "1"))
	d.are(t, "a session joined", 1, 0, 0, 0)
	mustWork(t, c)
	d.are(t, "its memory is registered", 1, 0, 1, 0)

	stranger := bridgetest.Hello("app", "2")
	stranger.AppToken[0]++
	if _, err := bridgetest.Dial(r.socket, stranger); err == nil {
		t.Error("an executor with another token was let in")
	}
	d.are(t, "who was not let in has left", 2, 1, 1, 0)

	mustWork(t, r.dial(t, bridgetest.Hello("refused", "1"))) // without the device
	d.are(t, "nothing of it is registered", 2, 1, 1, 0)

	c.Close()
	d.are(t, "the session left, and its memory was given back", 2, 2, 1, 1)
	if got := r.budget.Usage()[metrics.Upcall]; got.Allocated != 0 {
		t.Errorf("upcall memory: %+v", got)
	}
}

// An application whose blocks have to be encrypted has no part of the device: none of its memory is registered.
func TestTheDeviceIsNotForWhatIsEncrypted(t *testing.T) {
	d := &devices{}
	r := newRig(t, table, func(o *jvmbridge.Options) { o.Join = d.join })
	hello := bridgetest.Hello("app", "1")
	hello.Features = bridgetest.Encrypt
	c := r.dial(t, hello)
	mustWork(t, c)
	c.Close()
	eventually(t, "the session ends", func() bool { return len(r.Sessions()) == 0 })
	d.are(t, "nobody joined", 0, 0, 0, 0)
}

// Peers read by the device what an executor left, so that stays until it is over, too.
func TestTheDeviceStaysForWhatOutlivesTheExecutor(t *testing.T) {
	d := &devices{}
	r := newRig(t, table, func(o *jvmbridge.Options) { o.Join = d.join })
	dir := filepath.Join(t.TempDir(), "blockmgr")
	data, index := filepath.Join(dir, "a.data"), filepath.Join(dir, "a.index")
	for _, err := range []error{
		os.Mkdir(dir, 0o700),
		os.WriteFile(data, []byte("x"), 0o600),
		os.WriteFile(index, binary.BigEndian.AppendUint64(make([]byte, 8), 1), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	hello := bridgetest.Hello("app", "1", dir)
	hello.Features, hello.DriverAddress = ^bridgetest.Encrypt, "driver:1"
	c := r.dial(t, hello)
	if got := c.Welcome.GetFeatures(); got != 1 {
		t.Errorf("features %b in force", got)
	}
	err := c.Send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_RegisterMapOutput{RegisterMapOutput: &bridgepb.RegisterMapOutput{
		DataPath: data, IndexPath: index, NumPartitions: 1,
	}}})
	if err != nil {
		t.Fatal(err)
	}
	mustWork(t, c)
	c.Close()
	d.are(t, "the session's memory was given back, and it is still there", 1, 0, 1, 1)
	r.driverGone(errors.New("it has ended"))
	d.are(t, "it has left", 1, 1, 1, 1)
}

func TestNothingIsKeptUnasked(t *testing.T) {
	r := newRig(t, table, nil)
	if got := r.dial(t, bridgetest.Hello("app", "1", t.TempDir())).Welcome.GetFeatures(); got != 0 {
		t.Errorf("features %b in force", got)
	}
	if r.driverGone != nil {
		t.Error("its driver is watched")
	}
}
