package verbs

// #cgo noescape weft_post_send
// #cgo nocallback weft_post_send
// #cgo noescape weft_post_recv
// #cgo nocallback weft_post_recv
// #cgo noescape weft_post_srq_recv
// #cgo nocallback weft_post_srq_recv
// #include "shim.h"
import "C"

import "fmt"

// SGE names memory of this side: an address, bytes, and the region's key. ibv_sge.
type SGE struct {
	Addr uint64
	Len  uint32
	LKey uint32
}

// Remote names memory of the peer.
type Remote struct {
	Addr uint64
	RKey uint32
}

// Flags are ibv_send_flags.
type Flags uint

// Flags of send requests. Without Signaled only a failure completes; Inline copies the bytes while posting, so no region is needed.
const (
	Signaled  Flags = C.IBV_SEND_SIGNALED
	Solicited Flags = C.IBV_SEND_SOLICITED
	Inline    Flags = C.IBV_SEND_INLINE
)

// SendBatch is a list of send requests, prepared in C's memory and posted by one call. It may be used again when it was posted. For one
// goroutine at a time. ibv_post_send(3).
type SendBatch struct {
	node
	wrs  []C.struct_ibv_send_wr
	sges []C.struct_ibv_sge
	per  int
	n    int
}

// NewSendBatch makes room for n requests of at most sges pieces of memory each.
func NewSendBatch(n, sges int) *SendBatch {
	b := &SendBatch{per: sges, wrs: allocate[C.struct_ibv_send_wr](n), sges: allocate[C.struct_ibv_sge](n * sges)}
	_ = b.attach("SendBatch")
	return b
}

// Len is how many requests were added since Reset.
func (b *SendBatch) Len() int { return b.n }

// Full tells whether no more fits.
func (b *SendBatch) Full() bool { return b.n == len(b.wrs) }

// Reset empties the batch.
func (b *SendBatch) Reset() { b.n = 0 }

// Read adds an RDMA READ of the peer's memory at from into local, one piece behind the other.
func (b *SendBatch) Read(id uint64, from Remote, flags Flags, local ...SGE) {
	wr := b.add(id, C.IBV_WR_RDMA_READ, flags, local)
	C.weft_set_remote(wr, C.uint64_t(from.Addr), C.uint32_t(from.RKey))
}

// Send adds a message to the peer, who has to have posted a receive request.
func (b *SendBatch) Send(id uint64, flags Flags, local ...SGE) {
	b.add(id, C.IBV_WR_SEND, flags, local)
}

// SendImm adds a message with 32 bits beside it, which the peer finds in the completion.
func (b *SendBatch) SendImm(id uint64, imm uint32, flags Flags, local ...SGE) {
	C.weft_set_imm(b.add(id, C.IBV_WR_SEND_WITH_IMM, flags, local), C.uint32_t(imm))
}

func (b *SendBatch) add(id uint64, op uint32, flags Flags, local []SGE) *C.struct_ibv_send_wr {
	if b.n == len(b.wrs) || len(local) > b.per {
		panic(fmt.Sprintf("verbs: request %d with %d pieces in a batch of %d with %d", b.n, len(local), len(b.wrs), b.per))
	}
	wr := &b.wrs[b.n]
	sges := b.sges[b.n*b.per:]
	*wr = C.struct_ibv_send_wr{wr_id: C.uint64_t(id), opcode: op, send_flags: C.uint(flags), num_sge: C.int(len(local))}
	if len(local) > 0 {
		wr.sg_list = &sges[0]
	}
	for i, s := range local {
		sges[i] = C.struct_ibv_sge{addr: C.uint64_t(s.Addr), length: C.uint32_t(s.Len), lkey: C.uint32_t(s.LKey)}
	}
	if b.n > 0 {
		b.wrs[b.n-1].next = wr
	}
	b.n++
	return wr
}

// Close gives the memory back.
func (b *SendBatch) Close() error {
	return b.detach(func() error {
		release(b.wrs)
		release(b.sges)
		return nil
	})
}

// posted is how many requests were, if bad is the first that was not. A provider that took them all and then failed to ring the doorbell names none:
// the device may have them.
func posted[T any](wrs []T, bad *T) int {
	if bad == nil {
		return len(wrs)
	}
	return index(wrs, bad)
}

// PostSend posts the batch's requests by one call. It tells how many were posted, all where there is no error, and empties the batch. With an
// error, too, those that were posted complete, or end with the queue pair. It allocates nothing.
func (q *QP) PostSend(b *SendBatch) (int, error) {
	n := b.n
	b.n = 0
	if n == 0 {
		return 0, nil
	}
	var bad *C.struct_ibv_send_wr
	if rc, err := C.weft_post_send(q.c, &b.wrs[0], &bad); rc != 0 {
		return posted(b.wrs[:n], bad), failed("ibv_post_send", q.what(), err)
	}
	return n, nil
}

// RecvBatch is a list of receive requests. As SendBatch. ibv_post_recv(3).
type RecvBatch struct {
	node
	wrs  []C.struct_ibv_recv_wr
	sges []C.struct_ibv_sge
	n    int
}

// NewRecvBatch makes room for n requests of one piece of memory each.
func NewRecvBatch(n int) *RecvBatch {
	b := &RecvBatch{wrs: allocate[C.struct_ibv_recv_wr](n), sges: allocate[C.struct_ibv_sge](n)}
	_ = b.attach("RecvBatch")
	return b
}

// Full tells whether no more fits.
func (b *RecvBatch) Full() bool { return b.n == len(b.wrs) }

// Add adds a request for one message, which must fit in local.
func (b *RecvBatch) Add(id uint64, local SGE) {
	if b.Full() {
		panic(fmt.Sprintf("verbs: more than %d requests in a batch", len(b.wrs)))
	}
	b.sges[b.n] = C.struct_ibv_sge{addr: C.uint64_t(local.Addr), length: C.uint32_t(local.Len), lkey: C.uint32_t(local.LKey)}
	b.wrs[b.n] = C.struct_ibv_recv_wr{wr_id: C.uint64_t(id), sg_list: &b.sges[b.n], num_sge: 1}
	if b.n > 0 {
		b.wrs[b.n-1].next = &b.wrs[b.n]
	}
	b.n++
}

// Close gives the memory back.
func (b *RecvBatch) Close() error {
	return b.detach(func() error {
		release(b.wrs)
		release(b.sges)
		return nil
	})
}

// PostRecv is as PostSend, for a queue pair without SRQ.
func (q *QP) PostRecv(b *RecvBatch) (int, error) {
	n := b.n
	b.n = 0
	if n == 0 {
		return 0, nil
	}
	var bad *C.struct_ibv_recv_wr
	if rc, err := C.weft_post_recv(q.c, &b.wrs[0], &bad); rc != 0 {
		return posted(b.wrs[:n], bad), failed("ibv_post_recv", q.what(), err)
	}
	return n, nil
}

// SRQ is a shared receive queue: receive requests for many queue pairs. ibv_create_srq(3).
type SRQ struct {
	node
	pd *PD
	c  *C.struct_ibv_srq
}

// CreateSRQ makes a queue of at least so many requests of one piece of memory each.
func (pd *PD) CreateSRQ(requests int) (*SRQ, error) {
	s := &SRQ{pd: pd}
	if err := s.attach("SRQ", &pd.node); err != nil {
		return nil, err
	}
	var err error
	if s.c, err = C.weft_create_srq(pd.c, C.uint32_t(requests), 1); s.c == nil {
		return nil, s.undo(failed("ibv_create_srq", fmt.Sprintf("%d requests on %s", requests, pd.ctx.Name()), err))
	}
	return s, nil
}

// PostRecv is as that of QP.
func (s *SRQ) PostRecv(b *RecvBatch) (int, error) {
	n := b.n
	b.n = 0
	if n == 0 {
		return 0, nil
	}
	var bad *C.struct_ibv_recv_wr
	if rc, err := C.weft_post_srq_recv(s.c, &b.wrs[0], &bad); rc != 0 {
		return posted(b.wrs[:n], bad), failed("ibv_post_srq_recv", s.pd.ctx.Name(), err)
	}
	return n, nil
}

// Close gives the queue back. ErrInUse while it has queue pairs.
func (s *SRQ) Close() error {
	return s.detach(func() error {
		if rc, err := C.weft_destroy_srq(s.c); rc != 0 {
			return failed("ibv_destroy_srq", s.pd.ctx.Name(), err)
		}
		return nil
	})
}
