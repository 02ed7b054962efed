package verbs

// #include "shim.h"
import "C"

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

// Devices are the RDMA devices of this machine, opened by librdmacm, so that queue pairs of its connections can be made on them.
type Devices struct {
	node
	list **C.struct_ibv_context
	all  []*Context
}

// Context is one opened device. It lives as long as its Devices.
type Context struct {
	devices *Devices
	c       *C.struct_ibv_context
	name    string
	events  *poller
	event   AsyncEvent
}

// OpenDevices opens all devices. Without any it fails with an *Error, ENODEV.
func OpenDevices() (*Devices, error) {
	if err := Load(); err != nil {
		return nil, err
	}
	var n C.int
	list, err := C.weft_get_devices(&n)
	if list == nil {
		return nil, failed("rdma_get_devices", "this machine", err)
	}
	if n == 0 {
		C.weft_free_devices(list)
		return nil, failed("rdma_get_devices", "this machine", syscall.ENODEV)
	}
	d := &Devices{list: list}
	if err := d.attach("Devices"); err != nil {
		return nil, err
	}
	for _, c := range slice(list, int(n)) {
		ctx := &Context{devices: d, c: c, name: C.GoString(&c.device.name[0])}
		if ctx.events, err = newPoller(int(c.async_fd), "asynchronous events of "+ctx.name, ctx.takeEvent); err != nil {
			return nil, errors.Join(err, d.Close())
		}
		d.all = append(d.all, ctx)
	}
	return d, nil
}

// All are the devices. They stay the list's.
func (d *Devices) All() []*Context { return d.all }

// Device finds one by name; nil where there is none.
func (d *Devices) Device(name string) *Context {
	for _, c := range d.all {
		if c.Name() == name {
			return c
		}
	}
	return nil
}

// Close gives the devices back. ErrInUse while anything is open on one of them. librdmacm keeps their descriptors until the process ends.
func (d *Devices) Close() error {
	return d.detach(func() error {
		for _, c := range d.all {
			if err := c.events.close(); err != nil {
				return err
			}
		}
		C.weft_free_devices(d.list)
		return nil
	})
}

// Name is the device's, as in /sys/class/infiniband: "mlx5_0".
func (c *Context) Name() string { return c.name }

// CompVectors is how many completion vectors there are, so on how many CPUs interrupts can come.
func (c *Context) CompVectors() int { return int(c.c.num_comp_vectors) }

// Attr is what a device can do: the part of ibv_device_attr that this project asks about. ibv_query_device(3).
type Attr struct {
	Firmware        string
	MaxMRSize       uint64 // bytes
	MaxMR           int
	MaxQP           int
	MaxQPWR         int // work requests of a queue
	MaxSGE          int
	MaxCQE          int
	MaxSRQWR        int
	MaxQPRdAtom     int // READs that a queue pair may have in flight as their target
	MaxQPInitRdAtom int // and as their source
	Ports           int
	AckDelay        int // local_ca_ack_delay: 4.096 us * 2^n
}

// Attr asks the device.
func (c *Context) Attr() (Attr, error) {
	var a C.struct_ibv_device_attr
	if rc, err := C.weft_query_device(c.c, &a); rc != 0 {
		return Attr{}, failed("ibv_query_device", c.Name(), err)
	}
	return Attr{
		Firmware:        C.GoString(&a.fw_ver[0]),
		MaxMRSize:       uint64(a.max_mr_size),
		MaxMR:           int(a.max_mr),
		MaxQP:           int(a.max_qp),
		MaxQPWR:         int(a.max_qp_wr),
		MaxSGE:          int(a.max_sge),
		MaxCQE:          int(a.max_cqe),
		MaxSRQWR:        int(a.max_srq_wr),
		MaxQPRdAtom:     int(a.max_qp_rd_atom),
		MaxQPInitRdAtom: int(a.max_qp_init_rd_atom),
		Ports:           int(a.phys_port_cnt),
		AckDelay:        int(a.local_ca_ack_delay),
	}, nil
}

// Port is a port's state: the part of ibv_port_attr that this project asks about. ibv_query_port(3).
type Port struct {
	Active    bool
	State     string // "ACTIVE", "DOWN", ...
	LinkLayer string // "Ethernet" (RoCE), "InfiniBand"
	MTU       int    // bytes of payload in a packet now
	MaxMTU    int
	MaxMsg    uint32 // bytes
}

var (
	portStates = []string{"NOP", "DOWN", "INIT", "ARMED", "ACTIVE", "ACTIVE_DEFER"}
	linkLayers = []string{"unspecified", "InfiniBand", "Ethernet"}
)

// Port asks for a port's state; the first is 1.
func (c *Context) Port(port int) (Port, error) {
	var a C.struct_ibv_port_attr
	if rc, err := C.weft_query_port(c.c, C.uint8_t(port), &a); rc != 0 {
		return Port{}, failed("ibv_query_port", fmt.Sprintf("port %d of %s", port, c.Name()), err)
	}
	return Port{
		Active:    a.state == C.IBV_PORT_ACTIVE,
		State:     name(portStates, int(a.state)),
		LinkLayer: name(linkLayers, int(a.link_layer)),
		MTU:       128 << a.active_mtu,
		MaxMTU:    128 << a.max_mtu,
		MaxMsg:    uint32(a.max_msg_sz),
	}, nil
}

func name(names []string, i int) string {
	if i >= 0 && i < len(names) {
		return names[i]
	}
	return fmt.Sprint(i)
}

// AsyncEvent is something that happened to a device, a port or a queue pair. ibv_get_async_event(3).
type AsyncEvent struct {
	Type EventType
	Port int    // 0: not about a port
	QPN  uint32 // 0: not about a queue pair
}

// EventType is ibv_event_type.
type EventType int

// Events that callers tell apart.
const (
	EventQPFatal     EventType = C.IBV_EVENT_QP_FATAL
	EventDeviceFatal EventType = C.IBV_EVENT_DEVICE_FATAL
	EventPortActive  EventType = C.IBV_EVENT_PORT_ACTIVE
	EventPortErr     EventType = C.IBV_EVENT_PORT_ERR
	EventGIDChange   EventType = C.IBV_EVENT_GID_CHANGE
	EventLastWQE     EventType = C.IBV_EVENT_QP_LAST_WQE_REACHED
)

func (t EventType) String() string {
	if Load() != nil {
		return fmt.Sprintf("IBV_EVENT_%d", int(t))
	}
	return C.GoString(C.weft_event_name(C.int(t)))
}

// NextEvent waits for an event until the deadline (os.ErrDeadlineExceeded; the zero time: without end) or Close of Devices (ErrClosed). It
// is acknowledged at once. One goroutine may wait at a time.
func (c *Context) NextEvent(deadline time.Time) (AsyncEvent, error) {
	if err := c.events.setDeadline(deadline); err != nil {
		return AsyncEvent{}, err
	}
	err := c.events.wait()
	return c.event, err
}

func (c *Context) takeEvent() error {
	var kind, port C.int
	var qpn C.uint32_t
	if rc, err := C.weft_async_event(c.c, &kind, &port, &qpn); rc != 0 {
		return noEvent("ibv_get_async_event", c.Name(), err)
	}
	c.event = AsyncEvent{EventType(kind), int(port), uint32(qpn)}
	return nil
}
