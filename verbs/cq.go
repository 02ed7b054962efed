package verbs

// #cgo noescape weft_poll_cq
// #cgo nocallback weft_poll_cq
// #cgo nocallback weft_arm_cq
// #include "shim.h"
import "C"

import (
	"fmt"
	"sync"
	"time"
)

// CompChannel tells of completions: it is what CQs are waited for at. ibv_create_comp_channel(3).
type CompChannel struct {
	node
	ctx    *Context
	c      *C.struct_ibv_comp_channel
	events *poller
	cookie C.uintptr_t // of the last event
}

// registry finds a handle by the number that the library keeps for us. Numbers are never used again.
type registry[T any] struct {
	mu   sync.RWMutex
	last uintptr
	all  map[uintptr]*T
}

func (r *registry[T]) add(h *T) uintptr {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[uintptr]*T{}
	}
	r.last++
	r.all[r.last] = h
	return r.last
}

func (r *registry[T]) remove(cookie uintptr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.all, cookie)
}

// find is the handle; nil: it was closed.
func (r *registry[T]) find(cookie C.uintptr_t) *T {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.all[uintptr(cookie)]
}

var cqs registry[CQ]

// CompChannel makes a channel.
func (c *Context) CompChannel() (*CompChannel, error) {
	ch := &CompChannel{ctx: c}
	if err := ch.attach("CompChannel", &c.devices.node); err != nil {
		return nil, err
	}
	var err error
	if ch.c, err = C.weft_create_comp_channel(c.c); ch.c == nil {
		return nil, ch.undo(failed("ibv_create_comp_channel", c.Name(), err))
	}
	if ch.events, err = newPoller(int(ch.c.fd), "completion channel of "+c.Name(), ch.take); err != nil {
		C.weft_destroy_comp_channel(ch.c)
		return nil, ch.undo(err)
	}
	return ch, nil
}

func (ch *CompChannel) take() error {
	if rc, err := C.weft_cq_event(ch.c, &ch.cookie); rc != 0 {
		return noEvent("ibv_get_cq_event", ch.ctx.Name(), err)
	}
	return nil
}

// Wait waits for an armed CQ that got a completion, until the deadline (os.ErrDeadlineExceeded; the zero time: without end) or Close
// (ErrClosed). The event is acknowledged at once. After it the CQ has to be armed anew, and polled once more after that. One goroutine may wait
// at a time.
func (ch *CompChannel) Wait(deadline time.Time) (*CQ, error) {
	if err := ch.events.setDeadline(deadline); err != nil {
		return nil, err
	}
	for {
		if err := ch.events.wait(); err != nil {
			return nil, err
		}
		if cq := cqs.find(ch.cookie); cq != nil {
			return cq, nil
		}
		// else the CQ was closed meanwhile
	}
}

// Interrupt ends a Wait under way, and those to come, with ErrClosed; Close need not be possible yet.
func (ch *CompChannel) Interrupt() error { return ch.events.close() }

// Close gives the channel back and ends a Wait under way. ErrInUse while it has CQs.
func (ch *CompChannel) Close() error {
	return ch.detach(func() error {
		if err := ch.events.close(); err != nil {
			return err
		}
		if rc, err := C.weft_destroy_comp_channel(ch.c); rc != 0 {
			return failed("ibv_destroy_comp_channel", ch.ctx.Name(), err)
		}
		return nil
	})
}

// CQ is a completion queue. ibv_create_cq(3).
type CQ struct {
	node
	ctx    *Context
	c      *C.struct_ibv_cq
	cookie uintptr
}

// CreateCQ makes a queue for at least so many completions. An overrun ends every queue pair on it, so it must hold what all of them can
// have under way. channel may be nil: the queue is polled then. vector says whose interrupts tell of it.
func (c *Context) CreateCQ(entries int, channel *CompChannel, vector int) (*CQ, error) {
	cq := &CQ{ctx: c}
	parents := []*node{&c.devices.node}
	var ch *C.struct_ibv_comp_channel
	if channel != nil {
		parents = append(parents, &channel.node)
		ch = channel.c
	}
	if err := cq.attach("CQ", parents...); err != nil {
		return nil, err
	}
	cq.cookie = cqs.add(cq)
	var err error
	if cq.c, err = C.weft_create_cq(c.c, C.int(entries), C.uintptr_t(cq.cookie), ch, C.int(vector)); cq.c == nil {
		cqs.remove(cq.cookie)
		return nil, cq.undo(failed("ibv_create_cq", fmt.Sprintf("%d entries on %s", entries, c.Name()), err))
	}
	return cq, nil
}

// Entries is how many completions it holds.
func (cq *CQ) Entries() int { return int(cq.c.cqe) }

// Arm asks for one event at the next completion. ibv_req_notify_cq(3).
func (cq *CQ) Arm() error {
	if rc, err := C.weft_arm_cq(cq.c); rc != 0 {
		return failed("ibv_req_notify_cq", cq.ctx.Name(), err)
	}
	return nil
}

// Poll takes completions that are there, as many as fit. It allocates nothing. An error means that the queue is of no more use.
func (cq *CQ) Poll(wcs []WC) (int, error) {
	if len(wcs) == 0 {
		return 0, nil
	}
	n, err := C.weft_poll_cq(cq.c, C.int(len(wcs)), &wcs[0].c)
	if n < 0 {
		return 0, failed("ibv_poll_cq", cq.ctx.Name(), err)
	}
	return int(n), nil
}

// Close gives the queue back. ErrInUse while it has queue pairs.
func (cq *CQ) Close() error {
	return cq.detach(func() error {
		if rc, err := C.weft_destroy_cq(cq.c); rc != 0 {
			return failed("ibv_destroy_cq", cq.ctx.Name(), err)
		}
		cqs.remove(cq.cookie)
		return nil
	})
}

// WC is a completion: how a work request ended. ibv_poll_cq(3).
type WC struct{ c C.struct_ibv_wc }

// ID is the work request's.
func (w *WC) ID() uint64 { return uint64(w.c.wr_id) }

// Status tells how it ended. Where that is not WCSuccess, only ID, Status, QPN and Err mean something.
func (w *WC) Status() WCStatus { return WCStatus(w.c.status) }

// QPN is the number of the queue pair.
func (w *WC) QPN() uint32 { return uint32(w.c.qp_num) }

// Received tells whether it is of a receive request; else it is of a send request.
func (w *WC) Received() bool { return w.c.opcode&C.IBV_WC_RECV != 0 }

// Len is how many bytes were received, or read.
func (w *WC) Len() int { return int(w.c.byte_len) }

// Imm is the immediate data that came with a message; false: none.
func (w *WC) Imm() (uint32, bool) {
	if w.c.wc_flags&C.IBV_WC_WITH_IMM == 0 {
		return 0, false
	}
	return uint32(C.weft_wc_imm(&w.c)), true
}

// Err is nil where the request succeeded, else a *WCError.
func (w *WC) Err() error {
	if w.c.status == C.IBV_WC_SUCCESS {
		return nil
	}
	return &WCError{w.Status(), uint32(w.c.vendor_err), w.QPN(), w.ID()}
}

// NewWC is a completion as a device could have made it, for tests of who handles them.
func NewWC(id uint64, qpn uint32, status WCStatus) WC {
	return WC{C.struct_ibv_wc{wr_id: C.uint64_t(id), qp_num: C.uint32_t(qpn), status: uint32(status)}}
}
