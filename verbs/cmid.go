package verbs

// #cgo noescape weft_connect
// #cgo noescape weft_accept
// #cgo noescape weft_reject
// #include "shim.h"
import "C"

import (
	"fmt"
	"math"
	"net/netip"
	"syscall"
	"time"
)

// MaxPrivateData is how many bytes of private data a connection request holds in every case: 56 over IP, of a message's 92.
const MaxPrivateData = 56

// Bind gives the id an address of this machine; port 0: a free one.
func (id *CMID) Bind(addr netip.AddrPort) error {
	a := encodeAddr(addr)
	if rc, err := C.weft_bind_addr(id.c, pointer(a)); rc != 0 {
		return failed("rdma_bind_addr", addr.String(), err)
	}
	return nil
}

// ReuseAddr lets the id be bound to a port of which an earlier connection is in TIMEWAIT still.
func (id *CMID) ReuseAddr() error {
	if rc, err := C.weft_set_reuse_addr(id.c); rc != 0 {
		return failed("rdma_set_option", "REUSEADDR", err)
	}
	return nil
}

// Listen lets peers connect. Each asks by a CMConnectRequest on the id's channel; backlog of them may wait there.
func (id *CMID) Listen(backlog int) error {
	if rc, err := C.weft_listen(id.c, C.int(backlog)); rc != 0 {
		return failed("rdma_listen", id.LocalAddr().String(), err)
	}
	return nil
}

// ResolveAddr finds the device and address to reach peer by, from local unless that is the zero value. CMAddrResolved or CMAddrError tells the
// end.
func (id *CMID) ResolveAddr(local, peer netip.AddrPort, timeout time.Duration) error {
	var src []byte
	if local.IsValid() {
		src = encodeAddr(local)
	}
	if rc, err := C.weft_resolve_addr(id.c, pointer(src), pointer(encodeAddr(peer)), milliseconds(timeout)); rc != 0 {
		return failed("rdma_resolve_addr", peer.String(), err)
	}
	return nil
}

// ResolveRoute finds the way, after ResolveAddr. CMRouteResolved or CMRouteError tells the end.
func (id *CMID) ResolveRoute(timeout time.Duration) error {
	if rc, err := C.weft_resolve_route(id.c, milliseconds(timeout)); rc != 0 {
		return failed("rdma_resolve_route", id.what(), err)
	}
	return nil
}

// SetAckTimeout is how long the device waits for an acknowledgement before it sends again: 4.096 us * 2^n. Before Connect or Accept. The default
// of librdmacm is 19 or so: with 7 tries it takes 15 s to notice that a peer has gone. rdma_set_option(3).
func (id *CMID) SetAckTimeout(n int) error {
	if rc, err := C.weft_set_ack_timeout(id.c, C.uint8_t(n)); rc != 0 {
		return failed("rdma_set_option", "ACK_TIMEOUT", err)
	}
	return nil
}

// ConnParam is what the ends of a connection agree on. rdma_connect(3).
type ConnParam struct {
	PrivateData        []byte // at most MaxPrivateData bytes
	ResponderResources int    // READs that this side serves at once
	InitiatorDepth     int    // READs that this side asks for at once
	// Retries and RNRRetries are how often a message is sent again that is not acknowledged, or that finds no receive request. 7 is for ever: of
	// RNRRetries by the standard, of Retries on some devices. Of Connect alone; Accept takes RNRRetries.
	Retries, RNRRetries int
}

func (p *ConnParam) c() (C.struct_rdma_conn_param, error) {
	if len(p.PrivateData) > MaxPrivateData {
		return C.struct_rdma_conn_param{}, fmt.Errorf("%d bytes of private data: %w", len(p.PrivateData), syscall.EMSGSIZE)
	}
	return C.struct_rdma_conn_param{
		private_data_len: C.uint8_t(len(p.PrivateData)), responder_resources: C.uint8_t(p.ResponderResources),
		initiator_depth: C.uint8_t(p.InitiatorDepth), retry_count: C.uint8_t(p.Retries), rnr_retry_count: C.uint8_t(p.RNRRetries),
	}, nil
}

// Connect asks the peer for a connection. CMEstablished tells that it accepted; CMRejected, CMUnreachable and CMConnectError that there is none. A host
// that vanished may take minutes to be CMUnreachable: wait with a deadline.
func (id *CMID) Connect(p ConnParam) error {
	c, err := p.c()
	if err != nil {
		return err
	}
	if rc, err := C.weft_connect(id.c, &c, pointer(p.PrivateData)); rc != 0 {
		return failed("rdma_connect", id.what(), err)
	}
	return nil
}

// Accept accepts a connection that a CMConnectRequest asked for. CMEstablished tells that the peer knows.
func (id *CMID) Accept(p ConnParam) error {
	c, err := p.c()
	if err != nil {
		return err
	}
	if rc, err := C.weft_accept(id.c, &c, pointer(p.PrivateData)); rc != 0 {
		return failed("rdma_accept", id.what(), err)
	}
	return nil
}

// Reject refuses it. The peer gets CMRejected with the bytes.
func (id *CMID) Reject(why []byte) error {
	why = why[:min(len(why), MaxPrivateData)]
	if rc, err := C.weft_reject(id.c, pointer(why), C.uint8_t(len(why))); rc != 0 {
		return failed("rdma_reject", id.what(), err)
	}
	return nil
}

// Disconnect ends the connection. What is under way completes, with WCWRFlushErr; both ends get CMDisconnected.
func (id *CMID) Disconnect() error {
	if rc, err := C.weft_disconnect(id.c); rc != 0 {
		return failed("rdma_disconnect", id.what(), err)
	}
	return nil
}

// Migrate lets the id's events come on another channel from now on.
func (id *CMID) Migrate(to *CMChannel) error {
	if err := to.adopt("CMID"); err != nil {
		return err
	}
	if rc, err := C.weft_migrate_id(id.c, to.c); rc != 0 {
		to.release("CMID")
		return failed("rdma_migrate_id", id.what(), err)
	}
	id.mu.Lock()
	from := id.parents[0]
	id.parents, id.ch = []*node{&to.node}, to
	id.mu.Unlock()
	from.release("CMID")
	return nil
}

func milliseconds(d time.Duration) C.int { return C.int(min(max(1, d.Milliseconds()), math.MaxInt32)) }
