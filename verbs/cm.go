package verbs

// #include "shim.h"
import "C"

import (
	"fmt"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// CMChannel tells of the events of connections. rdma_create_event_channel(3).
type CMChannel struct {
	node
	c      *C.struct_rdma_event_channel
	events *poller
	event  C.struct_weft_cm_event // the last
	taking sync.Mutex             // while an event is taken, and while a queue pair of an id is destroyed
}

// NewCMChannel makes a channel.
func NewCMChannel() (*CMChannel, error) {
	if err := Load(); err != nil {
		return nil, err
	}
	ch := &CMChannel{}
	if err := ch.attach("CMChannel"); err != nil {
		return nil, err
	}
	var err error
	if ch.c, err = C.weft_create_event_channel(); ch.c == nil {
		return nil, ch.undo(failed("rdma_create_event_channel", "this machine", err))
	}
	if ch.events, err = newPoller(int(ch.c.fd), "connection manager", ch.take); err != nil {
		C.weft_destroy_event_channel(ch.c)
		return nil, ch.undo(err)
	}
	return ch, nil
}

func (ch *CMChannel) take() error {
	ch.taking.Lock()
	defer ch.taking.Unlock()
	if rc, err := C.weft_cm_event(ch.c, &ch.event); rc != 0 {
		return noEvent("rdma_get_cm_event", "this machine", err)
	}
	return nil
}

// CMEvent is something that happened to a connection. rdma_get_cm_event(3).
type CMEvent struct {
	Type CMEventType
	ID   *CMID
	// Status says why, where the type is an error: an errno, or of CMRejected the reason of the InfiniBand standard (8: nobody listens, 28: the peer's
	// program refused).
	Status int
	// New is the connection that a CMConnectRequest asks for: the receiver's, who accepts or rejects it and closes it.
	New *CMID
	// PrivateData is what the peer gave, of CMConnectRequest, CMEstablished and CMRejected; padded with zeros to what a message holds.
	PrivateData []byte
	// ResponderResources and InitiatorDepth are the READs that this side may serve and ask for at once: of CMConnectRequest and CMEstablished.
	ResponderResources, InitiatorDepth int
}

// CMEventType is rdma_cm_event_type.
type CMEventType int

// Types of events.
const (
	CMAddrResolved   CMEventType = C.RDMA_CM_EVENT_ADDR_RESOLVED
	CMAddrError      CMEventType = C.RDMA_CM_EVENT_ADDR_ERROR
	CMRouteResolved  CMEventType = C.RDMA_CM_EVENT_ROUTE_RESOLVED
	CMRouteError     CMEventType = C.RDMA_CM_EVENT_ROUTE_ERROR
	CMConnectRequest CMEventType = C.RDMA_CM_EVENT_CONNECT_REQUEST
	CMConnectError   CMEventType = C.RDMA_CM_EVENT_CONNECT_ERROR
	CMUnreachable    CMEventType = C.RDMA_CM_EVENT_UNREACHABLE
	CMRejected       CMEventType = C.RDMA_CM_EVENT_REJECTED
	CMEstablished    CMEventType = C.RDMA_CM_EVENT_ESTABLISHED
	CMDisconnected   CMEventType = C.RDMA_CM_EVENT_DISCONNECTED
	CMDeviceRemoval  CMEventType = C.RDMA_CM_EVENT_DEVICE_REMOVAL
	CMAddrChange     CMEventType = C.RDMA_CM_EVENT_ADDR_CHANGE
	CMTimewaitExit   CMEventType = C.RDMA_CM_EVENT_TIMEWAIT_EXIT
)

func (t CMEventType) String() string {
	if Load() != nil {
		return fmt.Sprintf("RDMA_CM_EVENT_%d", int(t))
	}
	return C.GoString(C.weft_cm_event_name(C.int(t)))
}

// Err is an event that is not the wanted one, as an error.
func (e *CMEvent) Err() error {
	if e.Status < 0 {
		return fmt.Errorf("%v: %w", e.Type, syscall.Errno(-e.Status))
	}
	return fmt.Errorf("%v (status %d)", e.Type, e.Status)
}

// Next waits for an event until the deadline (os.ErrDeadlineExceeded; the zero time: without end) or Close (ErrClosed). It is
// acknowledged at once. One goroutine may wait at a time.
func (ch *CMChannel) Next(deadline time.Time) (*CMEvent, error) {
	if err := ch.events.setDeadline(deadline); err != nil {
		return nil, err
	}
	for {
		if err := ch.events.wait(); err != nil {
			return nil, err
		}
		c := &ch.event
		e := &CMEvent{
			Type: CMEventType(c._type), Status: int(c.status),
			ResponderResources: int(c.responder_resources), InitiatorDepth: int(c.initiator_depth),
		}
		for _, b := range c.private_data[:c.private_data_len] {
			e.PrivateData = append(e.PrivateData, byte(b))
		}
		e.ID = cmids.find(c.cookie)
		if e.Type == CMConnectRequest {
			id, err := ch.adoptID(c.id)
			if err != nil {
				C.weft_destroy_id(c.id)
				return nil, err
			}
			e.New = id
		}
		if e.ID != nil {
			return e, nil
		}
		// The id was closed meanwhile.
		if e.New != nil {
			_ = e.New.Close()
		}
	}
}

// Expect waits for an event of this type. Another one is an error.
func (ch *CMChannel) Expect(want CMEventType, deadline time.Time) (*CMEvent, error) {
	e, err := ch.Next(deadline)
	if err == nil && e.Type != want {
		err = e.Err()
	}
	if err != nil {
		if os.IsTimeout(err) {
			err = fmt.Errorf("no answer of the connection manager in time: %w", err)
		}
		return e, err
	}
	return e, nil
}

// Interrupt ends a Next under way, and those to come, with ErrClosed; Close need not be possible yet.
func (ch *CMChannel) Interrupt() error { return ch.events.close() }

// Close gives the channel back and ends a Next under way. ErrInUse while it has CMIDs.
func (ch *CMChannel) Close() error {
	return ch.detach(func() error {
		if err := ch.events.close(); err != nil {
			return err
		}
		C.weft_destroy_event_channel(ch.c)
		return nil
	})
}

// CMID is one end of a connection, or what listens for them. rdma_create_id(3).
type CMID struct {
	node
	c      *C.struct_rdma_cm_id
	cookie uintptr
	ch     *CMChannel // under mu
}

func (id *CMID) channel() *CMChannel {
	id.mu.Lock()
	defer id.mu.Unlock()
	return id.ch
}

var cmids registry[CMID]

// NewID makes an id whose events come on the channel.
func (ch *CMChannel) NewID() (*CMID, error) {
	id := &CMID{ch: ch}
	if err := id.attach("CMID", &ch.node); err != nil {
		return nil, err
	}
	id.cookie = cmids.add(id)
	var err error
	if id.c, err = C.weft_create_id(ch.c, C.uintptr_t(id.cookie)); id.c == nil {
		cmids.remove(id.cookie)
		return nil, id.undo(failed("rdma_create_id", "this machine", err))
	}
	return id, nil
}

// adoptID takes over the id of a connection request.
func (ch *CMChannel) adoptID(c *C.struct_rdma_cm_id) (*CMID, error) {
	id := &CMID{c: c, ch: ch}
	if err := id.attach("CMID", &ch.node); err != nil {
		return nil, err
	}
	id.cookie = cmids.add(id)
	C.weft_set_cookie(c, C.uintptr_t(id.cookie))
	return id, nil
}

// Close gives the id back and ends its connection. ErrInUse while it has a queue pair.
func (id *CMID) Close() error {
	return id.detach(func() error {
		if rc, err := C.weft_destroy_id(id.c); rc != 0 {
			return failed("rdma_destroy_id", id.what(), err)
		}
		cmids.remove(id.cookie)
		return nil
	})
}

func (id *CMID) what() string { return fmt.Sprintf("%v to %v", id.LocalAddr(), id.PeerAddr()) }

// LocalAddr is this end's address, when it is bound or resolved.
func (id *CMID) LocalAddr() netip.AddrPort { return id.addr(0) }

// PeerAddr is the other end's address.
func (id *CMID) PeerAddr() netip.AddrPort { return id.addr(1) }

func (id *CMID) addr(peer C.int) netip.AddrPort {
	var ss C.struct_sockaddr_storage
	C.weft_addr(id.c, peer, &ss)
	return decodeAddr(bytesOf(&ss))
}

// Context is the device that the address is resolved to, among those of d; nil before, or where it is none of them.
func (id *CMID) Context(d *Devices) *Context {
	for _, c := range d.all {
		if id.c.verbs != nil && c.c == id.c.verbs {
			return c
		}
	}
	return nil
}

// DeviceName is the name of the device that the address is resolved to; "" before.
func (id *CMID) DeviceName() string {
	if id.c.verbs == nil {
		return ""
	}
	return C.GoString(&id.c.verbs.device.name[0])
}
