package jvmbridge_test

import (
	"errors"
	"sync"
	"testing"

	"weft/internal/metrics"
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
