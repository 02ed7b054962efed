//go:build rdma

package verbs_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"time"

	"weft/internal/leakcheck"
	"weft/verbs"
	"weft/verbs/verbstest"
)

func TestPrivateDataAndREADDepthsReachTheOtherEnd(t *testing.T) {
	leakcheck.Check(t)
	device := verbstest.Device(t)
	from, to := verbstest.Addrs(t, device)
	server, client := verbstest.NewEnd(t, device, verbstest.Config{}), verbstest.NewEnd(t, device, verbstest.Config{})
	devices, err := verbs.OpenDevices()
	if err != nil {
		t.Fatal(err)
	}
	defer verbstest.Close(t, devices)
	listener := verbstest.Listen(t, server.CM, to)
	id := verbstest.NewID(t, client.CM)
	if id.Context(devices) != nil {
		t.Error("a device before the address is resolved")
	}
	verbstest.Resolve(t, client.CM, id, from, listener.LocalAddr())
	if c := id.Context(devices); c == nil || c.Name() != device.Name() {
		t.Errorf("resolved to %v", c)
	}
	if id.LocalAddr().Addr() != from || id.PeerAddr() != listener.LocalAddr() {
		t.Errorf("from %v to %v", id.LocalAddr(), id.PeerAddr())
	}
	if err := id.SetAckTimeout(16); err != nil {
		t.Error(err)
	}
	qp, err := id.CreateQP(verbs.QPConfig{PD: client.PD, SendCQ: client.CQ, RecvCQ: client.CQ, SendWRs: 4, RecvWRs: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer verbstest.Close(t, qp)
	token := bytes.Repeat([]byte{7}, verbs.MaxPrivateData)
	if err := id.Connect(verbs.ConnParam{PrivateData: append(token, 1)}); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("too much private data: %v", err)
	}
	if err := id.Connect(verbs.ConnParam{PrivateData: token, ResponderResources: 3, InitiatorDepth: 5, Retries: 6, RNRRetries: 6}); err != nil {
		t.Fatal(err)
	}
	request := verbstest.Expect(t, server.CM, verbs.CMConnectRequest)
	defer verbstest.Close(t, request.New)
	if request.ID != listener || !bytes.HasPrefix(request.PrivateData, token) || request.ResponderResources != 5 || request.InitiatorDepth != 3 {
		t.Errorf("%+v", request)
	}
	if err := request.New.Reject([]byte("no such application")); err != nil {
		t.Fatal(err)
	}
	e, err := client.CM.Expect(verbs.CMEstablished, time.Now().Add(verbstest.Patience))
	if err == nil || e.Type != verbs.CMRejected || e.Status != 28 || !bytes.HasPrefix(e.PrivateData, []byte("no such application")) {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestMessagesThroughAnSRQ(t *testing.T) {
	leakcheck.Check(t)
	client, server := verbstest.Pair(t, verbstest.Device(t), verbstest.Config{SRQ: true, Inline: 64})
	mem, mr := server.Register(t, 4*4096, verbs.LocalWrite)
	receives := verbs.NewRecvBatch(4)
	defer verbstest.Close(t, receives)
	for i := range 4 {
		receives.Add(uint64(100+i), mr.SGE(i*4096, 4096))
	}
	if n, err := server.SRQ.PostRecv(receives); n != 4 || err != nil {
		t.Fatal(n, err)
	}
	text, registered := client.Register(t, 4096, 0)
	copy(text, "from registered memory")
	batch := verbs.NewSendBatch(2, 1)
	defer verbstest.Close(t, batch)
	batch.SendImm(1, 0xcafe, verbs.Signaled, registered.SGE(0, 22))
	batch.Send(2, verbs.Signaled|verbs.Inline, registered.SGE(5, 10))
	if client.QP.Inline() < 10 {
		t.Errorf("%d bytes inline", client.QP.Inline())
	}
	if n, err := client.QP.PostSend(batch); n != 2 || err != nil {
		t.Fatal(n, err)
	}
	for i, want := range []string{"from registered memory", "registered"} {
		wc := server.Completion(t)
		if wc.Err() != nil || !wc.Received() || wc.QPN() != server.QP.Num() {
			t.Fatalf("%v, of QP %d", wc.Err(), wc.QPN())
		}
		at := int(wc.ID()-100) * 4096
		if got := string(mem[at : at+wc.Len()]); got != want {
			t.Errorf("message %d is %q", i, got)
		}
		if imm, ok := wc.Imm(); ok != (i == 0) || ok && imm != 0xcafe {
			t.Errorf("message %d has immediate data %x, %v", i, imm, ok)
		}
	}
}

// A connection that the peer ends, while requests are under way, is told of by an event; they end when this side disconnects, too.
func TestEndOfAConnection(t *testing.T) {
	leakcheck.Check(t)
	client, server := verbstest.Pair(t, verbstest.Device(t), verbstest.Config{})
	_, mr := client.Register(t, 4096, verbs.LocalWrite)
	receives := verbs.NewRecvBatch(1)
	defer verbstest.Close(t, receives)
	receives.Add(9, mr.SGE(0, 4096))
	if _, err := client.QP.PostRecv(receives); err != nil {
		t.Fatal(err)
	}
	if err := server.ID.Disconnect(); err != nil {
		t.Fatal(err)
	}
	if e := verbstest.Expect(t, client.CM, verbs.CMDisconnected); e.ID != client.ID {
		t.Errorf("event of %v", e.ID)
	}
	if err := client.ID.Disconnect(); err != nil {
		t.Fatal(err)
	}
	if wc := client.Completion(t); wc.ID() != 9 || !errors.Is(wc.Err(), verbs.WCWRFlushErr) {
		t.Errorf("%v", wc.Err())
	}
}

func TestQPInErrorFlushesWhatIsUnderWay(t *testing.T) {
	leakcheck.Check(t)
	client, _ := verbstest.Pair(t, verbstest.Device(t), verbstest.Config{})
	_, mr := client.Register(t, 4096, verbs.LocalWrite)
	receives := verbs.NewRecvBatch(2)
	defer verbstest.Close(t, receives)
	receives.Add(1, mr.SGE(0, 8))
	receives.Add(2, mr.SGE(8, 8))
	if _, err := client.QP.PostRecv(receives); err != nil {
		t.Fatal(err)
	}
	if err := client.QP.ToError(); err != nil {
		t.Fatal(err)
	}
	for want := range uint64(2) {
		if wc := client.Completion(t); wc.ID() != want+1 || !errors.Is(wc.Err(), verbs.WCWRFlushErr) {
			t.Errorf("request %d: %v", wc.ID(), wc.Err())
		}
	}
}

func TestConnectingToNobody(t *testing.T) {
	leakcheck.Check(t)
	device := verbstest.Device(t)
	from, to := verbstest.Addrs(t, device)
	end := verbstest.NewEnd(t, device, verbstest.Config{})

	id := verbstest.NewID(t, end.CM)
	verbstest.Resolve(t, end.CM, id, from, netip.AddrPortFrom(to, 1))
	qp, err := id.CreateQP(verbs.QPConfig{PD: end.PD, SendCQ: end.CQ, RecvCQ: end.CQ, SendWRs: 4, RecvWRs: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer verbstest.Close(t, qp)
	if err := id.Connect(verbstest.Param("")); err != nil {
		t.Fatal(err)
	}
	if e, err := end.CM.Expect(verbs.CMEstablished, time.Now().Add(verbstest.Patience)); err == nil || e.Type != verbs.CMRejected || e.Status != 8 {
		t.Errorf("a port that nobody listens on: %+v, %v", e, err)
	}

	// The wire tells that there is no host; a netdev without ARP does not.
	id = verbstest.NewID(t, end.CM)
	vacant := to.As4()
	vacant[3] = 254
	if err := id.ResolveAddr(netip.AddrPort{}, netip.AddrPortFrom(netip.AddrFrom4(vacant), 1), time.Second); err != nil {
		t.Fatal(err)
	}
	if e, err := end.CM.Expect(verbs.CMAddrResolved, time.Now().Add(verbstest.Patience)); err != nil {
		if !errors.Is(err, syscall.ETIMEDOUT) || e.Type != verbs.CMAddrError {
			t.Errorf("an address without a host: %+v, %v", e, err)
		}
		return
	}
	if err := id.ResolveRoute(time.Second); err != nil {
		t.Fatal(err)
	}
	verbstest.Expect(t, end.CM, verbs.CMRouteResolved)
	other, err := id.CreateQP(verbs.QPConfig{PD: end.PD, SendCQ: end.CQ, RecvCQ: end.CQ, SendWRs: 4, RecvWRs: 4})
	if err != nil {
		t.Fatal(err)
	}
	defer verbstest.Close(t, other)
	if err := id.Connect(verbstest.Param("")); err != nil {
		t.Fatal(err)
	}
	if _, err := end.CM.Expect(verbs.CMEstablished, time.Now().Add(200*time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a host that does not answer: %v", err)
	}
}

// Many connections, each closed by another end: nothing stays behind, on the device neither.
func TestConnectsAndDisconnects(t *testing.T) {
	leakcheck.Check(t)
	device := verbstest.Device(t)
	for i := range 200 {
		ok := t.Run(fmt.Sprint(i), func(t *testing.T) {
			client, server := verbstest.Pair(t, device, verbstest.Config{})
			first, other := client, server
			if i%2 == 0 {
				first, other = server, client
			}
			if err := first.ID.Disconnect(); err != nil {
				t.Fatal(err)
			}
			verbstest.Expect(t, other.CM, verbs.CMDisconnected)
		})
		if !ok {
			return
		}
	}
}

// Events of an id come on the channel that it was moved to.
func TestMigrate(t *testing.T) {
	leakcheck.Check(t)
	client, server := verbstest.Pair(t, verbstest.Device(t), verbstest.Config{})
	other, err := verbs.NewCMChannel()
	if err != nil {
		t.Fatal(err)
	}
	defer verbstest.Close(t, other)
	if err := client.ID.Migrate(other); err != nil {
		t.Fatal(err)
	}
	if err := server.ID.Disconnect(); err != nil {
		t.Fatal(err)
	}
	if e := verbstest.Expect(t, other, verbs.CMDisconnected); e.ID != client.ID {
		t.Errorf("event of %v", e.ID)
	}
	if err := client.ID.Migrate(client.CM); err != nil { // where its close is expected
		t.Fatal(err)
	}
}
