package verbstest

import (
	"net/netip"
	"testing"
	"time"

	"weft/verbs"
)

// Patience bounds every wait: many times what it takes.
const Patience = time.Minute

// Await is the next value of ch, the zero value where it was closed. It fails the test after Patience.
func Await[T any](t testing.TB, ch <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-ch:
		return v
	case <-time.After(Patience):
		t.Fatalf("%s took more than %v", what, Patience)
		panic("not reached")
	}
}

// Config is what the ends of a Pair are made of. Zero values: 64 requests, no SRQ, and what Param says.
type Config struct {
	WRs        int
	SRQ        bool
	Inline     int
	RNRRetries int
}

// param is what this end connects with.
func (c Config) param(private string) verbs.ConnParam {
	p := Param(private)
	if c.RNRRetries != 0 {
		p.RNRRetries = c.RNRRetries
	}
	return p
}

// End is one end of a connection and all that it is made of.
type End struct {
	CM      *verbs.CMChannel
	ID      *verbs.CMID
	PD      *verbs.PD
	Channel *verbs.CompChannel
	CQ      *verbs.CQ
	SRQ     *verbs.SRQ
	QP      *verbs.QP
}

// NewEnd makes what an end needs before there is a connection. All of it is closed with the test, in the right order.
func NewEnd(t testing.TB, device *verbs.Context, cfg Config) *End {
	t.Helper()
	e := &End{}
	var err error
	must := func() {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	e.CM, err = verbs.NewCMChannel()
	must()
	t.Cleanup(func() { Close(t, e.CM) })
	e.PD, err = device.AllocPD()
	must()
	t.Cleanup(func() { Close(t, e.PD) })
	e.Channel, err = device.CompChannel()
	must()
	t.Cleanup(func() { Close(t, e.Channel) })
	e.CQ, err = device.CreateCQ(4*max(cfg.WRs, 64), e.Channel, 0)
	must()
	t.Cleanup(func() { Close(t, e.CQ) })
	if cfg.SRQ {
		e.SRQ, err = e.PD.CreateSRQ(max(cfg.WRs, 64))
		must()
		t.Cleanup(func() { Close(t, e.SRQ) })
	}
	return e
}

// use gives the end its connection, with a queue pair.
func (e *End) use(t testing.TB, id *verbs.CMID, cfg Config) {
	t.Helper()
	n := max(cfg.WRs, 64)
	qp, err := id.CreateQP(verbs.QPConfig{
		PD: e.PD, SendCQ: e.CQ, RecvCQ: e.CQ, SRQ: e.SRQ, SendWRs: n, RecvWRs: n, SendSGEs: 4, Inline: cfg.Inline,
	})
	if err != nil {
		t.Fatal(err)
	}
	e.ID, e.QP = id, qp
	t.Cleanup(func() { Close(t, qp) })
}

// Register registers n bytes of new memory, for the time of the test.
func (e *End) Register(t testing.TB, n int, access verbs.Access) ([]byte, *verbs.MR) {
	t.Helper()
	mem := Memory(t, n)
	mr, err := e.PD.RegMR(mem, access)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Close(t, mr) })
	return mem, mr
}

// Listen makes a listener on the address; it is closed with the test.
func Listen(t testing.TB, ch *verbs.CMChannel, addr netip.Addr) *verbs.CMID {
	t.Helper()
	id := NewID(t, ch)
	if err := id.Bind(netip.AddrPortFrom(addr, 0)); err != nil {
		t.Fatal(err)
	}
	if err := id.Listen(16); err != nil {
		t.Fatal(err)
	}
	return id
}

// NewID makes an id for the time of the test.
func NewID(t testing.TB, ch *verbs.CMChannel) *verbs.CMID {
	t.Helper()
	id, err := ch.NewID()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { Close(t, id) })
	return id
}

// Expect waits for an event of this type.
func Expect(t testing.TB, ch *verbs.CMChannel, want verbs.CMEventType) *verbs.CMEvent {
	t.Helper()
	e, err := ch.Expect(want, time.Now().Add(Patience))
	if err != nil {
		t.Fatalf("waiting for %v: %v", want, err)
	}
	return e
}

// Resolve finds the way from one address to the other.
func Resolve(t testing.TB, ch *verbs.CMChannel, id *verbs.CMID, from netip.Addr, to netip.AddrPort) {
	t.Helper()
	if err := id.ResolveAddr(netip.AddrPortFrom(from, 0), to, Patience); err != nil {
		t.Fatal(err)
	}
	Expect(t, ch, verbs.CMAddrResolved)
	if err := id.ResolveRoute(Patience); err != nil {
		t.Fatal(err)
	}
	Expect(t, ch, verbs.CMRouteResolved)
}

// Param is what tests connect with: 16 READs at once, and time-outs that a slow guest keeps.
func Param(private string) verbs.ConnParam {
	return verbs.ConnParam{PrivateData: []byte(private), ResponderResources: 16, InitiatorDepth: 16, Retries: 6, RNRRetries: 6}
}

// Pair connects the device with itself.
func Pair(t testing.TB, device *verbs.Context, cfg Config) (client, server *End) {
	t.Helper()
	from, to := Addrs(t, device)
	server = NewEnd(t, device, cfg)
	client = NewEnd(t, device, cfg)
	listener := Listen(t, server.CM, to)
	id := NewID(t, client.CM)
	Resolve(t, client.CM, id, from, listener.LocalAddr())
	client.use(t, id, cfg)
	if err := id.Connect(cfg.param("client")); err != nil {
		t.Fatal(err)
	}
	asked := Expect(t, server.CM, verbs.CMConnectRequest).New
	t.Cleanup(func() { Close(t, asked) })
	server.use(t, asked, cfg)
	if err := asked.Accept(cfg.param("server")); err != nil {
		t.Fatal(err)
	}
	Expect(t, client.CM, verbs.CMEstablished) // first: the library answers the server while it takes this event
	Expect(t, server.CM, verbs.CMEstablished)
	return client, server
}

// Completion waits for the next completion of the end's CQ.
func (e *End) Completion(t testing.TB) verbs.WC {
	t.Helper()
	var wcs [1]verbs.WC
	deadline := time.Now().Add(Patience)
	for {
		n, err := e.CQ.Poll(wcs[:])
		if err != nil {
			t.Fatal(err)
		}
		if n == 1 {
			return wcs[0]
		}
		if time.Now().After(deadline) {
			t.Fatal("no completion")
		}
	}
}
