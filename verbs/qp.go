package verbs

// #include "shim.h"
import "C"

import "fmt"

// QP is a reliably connected (RC) queue pair of a connection. ibv_create_qp(3), rdma_create_qp(3).
type QP struct {
	node
	id     *CMID
	c      *C.struct_ibv_qp
	num    uint32
	inline int
}

// QPConfig is what a queue pair is made of.
type QPConfig struct {
	PD             *PD
	SendCQ, RecvCQ *CQ
	SRQ            *SRQ // nil: it has a receive queue of its own
	SendWRs        int  // send requests under way at most
	RecvWRs        int  // receive requests, without SRQ
	SendSGEs       int  // pieces of memory of a send request
	Inline         int  // bytes that may be sent Inline
}

// CreateQP makes the connection's queue pair; after its address is resolved, or before it is accepted. PD and CQs have to be of the
// device that the connection goes by, which Context tells.
func (id *CMID) CreateQP(cfg QPConfig) (*QP, error) {
	q := &QP{id: id}
	parents := []*node{&id.node, &cfg.PD.node, &cfg.SendCQ.node}
	if cfg.RecvCQ != cfg.SendCQ {
		parents = append(parents, &cfg.RecvCQ.node)
	}
	a := C.struct_weft_qp_attr{
		send_cq: cfg.SendCQ.c, recv_cq: cfg.RecvCQ.c, send_wrs: C.uint32_t(cfg.SendWRs), recv_wrs: C.uint32_t(cfg.RecvWRs),
		send_sges: C.uint32_t(max(1, cfg.SendSGEs)), recv_sges: 1, inline_data: C.uint32_t(cfg.Inline),
	}
	if cfg.SRQ != nil {
		parents = append(parents, &cfg.SRQ.node)
		a.srq = cfg.SRQ.c
	}
	if err := q.attach("QP", parents...); err != nil {
		return nil, err
	}
	if rc, err := C.weft_create_qp(id.c, cfg.PD.c, &a); rc != 0 {
		return nil, q.undo(failed("rdma_create_qp", fmt.Sprintf("%d requests on %s", cfg.SendWRs, cfg.PD.ctx.Name()), err))
	}
	q.c, q.num, q.inline = id.c.qp, uint32(id.c.qp.qp_num), int(a.inline_data)
	return q, nil
}

// Num is the queue pair's number, as in completions.
func (q *QP) Num() uint32 { return q.num }

// Inline is how many bytes may be sent Inline.
func (q *QP) Inline() int { return q.inline }

func (q *QP) what() string { return fmt.Sprintf("QP %d", q.Num()) }

// QPState is ibv_qp_state.
type QPState int

// States that callers tell apart.
const (
	QPReset QPState = C.IBV_QPS_RESET
	QPRTS   QPState = C.IBV_QPS_RTS // ready to send
	QPErr   QPState = C.IBV_QPS_ERR
)

// State asks for the state.
func (q *QP) State() (QPState, error) {
	var state C.int
	if rc, err := C.weft_qp_state(q.c, &state); rc != 0 {
		return 0, failed("ibv_query_qp", q.what(), err)
	}
	return QPState(state), nil
}

// ToError moves the queue pair to the error state: what is under way completes, with WCWRFlushErr.
func (q *QP) ToError() error {
	if rc, err := C.weft_qp_to_error(q.c); rc != 0 {
		return failed("ibv_modify_qp", q.what(), err)
	}
	return nil
}

// Close gives the queue pair back. Where it succeeds, what was under way does not complete any more, but completions that were there can still be
// polled, and its memory is not touched any more.
func (q *QP) Close() error {
	return q.detach(func() error {
		ch := q.id.channel()
		ch.taking.Lock() // the library itself changes the queue pair of an id whose event it takes
		defer ch.taking.Unlock()
		if rc, err := C.weft_destroy_qp(q.id.c); rc != 0 {
			return failed("ibv_destroy_qp", q.what(), err)
		}
		return nil
	})
}
