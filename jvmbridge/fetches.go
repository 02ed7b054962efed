package jvmbridge

import (
	"context"
	"strings"
	"sync"
	"time"

	"weft/internal/invariants"
	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
	"weft/shuffle"
)

const (
	// maxBlocks bounds the blocks that one session may wait for, and so what their answers can cost while it does not read them.
	maxBlocks = shuffle.MaxBlocks
	// fetchCost is what a request counts for beside its blocks: it may have a goroutine.
	fetchCost = 64
	// maxDetail bounds the words that go with a failure, in bytes.
	maxDetail = 1000
)

// fetches are a session's requests that have not ended.
type fetches struct {
	ses     *session
	running sync.WaitGroup

	mu     sync.Mutex
	open   map[uint64]*fetch
	blocks int // of all of them
	ended  bool
}

func (f *fetches) init(ses *session) { f.ses, f.open = ses, map[uint64]*fetch{} }

// begin starts a request; an error is a violation.
func (f *fetches) begin(m *bridgepb.Fetch) error {
	if !f.ses.out.isAttached() {
		return violation("Fetch before Attached")
	}
	blocks, err := shuffle.BlocksFromProto(m.GetBlocks())
	if err != nil {
		return violation(err.Error())
	}
	if len(blocks) == 0 {
		return violationf("Fetch %d asks for no block", m.GetRequestId())
	}
	peer := shuffle.PeerAddr{Hosts: m.GetPeerAddress(), Port: uint16(m.GetPeerPort())}
	if copy(peer.DaemonID[:], m.GetPeerDaemonId()) != len(m.GetPeerDaemonId()) || len(m.GetPeerDaemonId()) != len(peer.DaemonID) {
		return violationf("Fetch from a daemon whose id has %d bytes", len(m.GetPeerDaemonId()))
	}
	if uint32(peer.Port) != m.GetPeerPort() {
		return violationf("Fetch from port %d", m.GetPeerPort())
	}
	ft, ctx, err := f.add(m.GetRequestId(), len(blocks))
	if ft == nil {
		return err
	}
	ft.inline = min(int(m.GetInlineMax()), maxInline)
	f.ses.server.fetcher.Fetch(ctx, &shuffle.FetchRequest{
		App:      f.ses.app,
		Executor: m.GetExecutorId(),
		Peer:     peer,
		Blocks:   blocks,
		Pieces:   m.GetDelivery() == bridgepb.Delivery_DELIVERY_PIECES,
		Arena:    f.ses.receive,
		Timeout:  time.Duration(m.GetTimeoutMs()) * time.Millisecond,
	}, ft)
	return nil
}

// add notes a request; nil where it ended before it began.
func (f *fetches) add(id uint64, blocks int) (*fetch, context.Context, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ended {
		return nil, nil, nil
	}
	if f.open[id] != nil {
		return nil, nil, violationf("Fetch %d is under way already", id)
	}
	ft := &fetch{fetches: f, id: id, blocks: blocks, left: blocks}
	if f.blocks+blocks > maxBlocks {
		ft.refuse("too many blocks outstanding in this session")
		return nil, nil, nil
	}
	if !f.ses.server.opts.Quotas.Fetches.Take(f.ses.app.ID, ft.cost()) {
		ft.refuse("the application has as many requests under way as its share (weft.app.share) allows")
		return nil, nil, nil
	}
	f.open[id] = ft
	f.blocks += blocks
	f.running.Add(1)
	ctx, cancel := context.WithCancelCause(f.ses.ctx)
	ft.cancel = cancel
	return ft, ctx, nil
}

// cancel ends a request early; one that has ended meanwhile is no error.
func (f *fetches) cancel(id uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if ft := f.open[id]; ft != nil {
		ft.cancel(shuffle.ErrCancelled)
	}
}

func (f *fetches) cancelAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	for _, ft := range f.open {
		ft.cancel(shuffle.ErrCancelled)
	}
}

// wait returns when every request has ended; after cancelAll.
func (f *fetches) wait() { f.running.Wait() }

func (f *fetches) count() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open)
}

// fetch is one request: the Sink of its blocks, which it passes on to the JVM.
type fetch struct {
	fetches *fetches
	id      uint64
	blocks  int
	inline  int // bytes of a block that may go inside the frame
	left    int // not ended yet; the Fetcher calls from one goroutine at a time
	cancel  context.CancelCauseFunc
}

// Delivered implements shuffle.Sink.
func (ft *fetch) Delivered(d shuffle.Delivery) {
	ended := len(d.Entries)
	if d.BlockLength > 0 && d.PieceOffset+d.Entries[0].Length < d.BlockLength {
		ended = 0
	}
	ft.send(&d, ended == ft.left)
	ft.end(ended)
}

// send tells of a delivery, which is the request's last or one of several.
func (ft *fetch) send(d *shuffle.Delivery, last bool) {
	ses := ft.fetches.ses
	m := &bridgepb.Delivered{
		RequestId:   ft.id,
		Block:       make([]uint32, len(d.Entries)),
		Offset:      make([]uint64, len(d.Entries)),
		Length:      make([]uint64, len(d.Entries)),
		PieceOffset: uint64(d.PieceOffset),
		BlockLength: uint64(d.BlockLength),
		Transport:   d.Transport,
	}
	for i, e := range d.Entries {
		m.Block[i], m.Offset[i], m.Length[i] = uint32(e.Block), uint64(e.Offset), uint64(e.Length)
	}
	if ft.sendInside(m, d, last) {
		return
	}
	if d.Lease != nil {
		m.Segment = segmentOf(bridgepb.SegmentKind_SEGMENT_RECEIVE, d.Lease)
		var ok bool
		if m.Lease, ok = ses.leases.hand(d.Lease, len(d.Entries)); !ok {
			return
		}
	}
	ses.out.send(&bridgepb.ToJvm{Kind: &bridgepb.ToJvm_Delivered{Delivered: m}}, last)
}

// sendInside sends a block, where it is small and whole, inside the frame that tells of it: who copies it out of there need not tell that it gives memory
// back, which for a small block costs as much as to fetch it. False: it has to stay in its lease.
func (ft *fetch) sendInside(m *bridgepb.Delivered, d *shuffle.Delivery, last bool) bool {
	if d.Lease == nil || d.BlockLength == 0 || d.BlockLength > int64(ft.inline) || d.Entries[0].Length != d.BlockLength {
		return false
	}
	offset := m.Offset[0]
	m.Offset[0], m.Inline = 0, d.Lease.Bytes()[offset-uint64(d.Lease.Offset()):][:d.BlockLength]
	if ft.fetches.ses.out.sendInRoom(&bridgepb.ToJvm{Kind: &bridgepb.ToJvm_Delivered{Delivered: m}}, len(m.Inline), last) {
		d.Lease.Release()
		return true
	}
	m.Offset[0], m.Inline = offset, nil
	return false
}

// Failed implements shuffle.Sink.
func (ft *fetch) Failed(blocks []int, reason shuffle.Reason, detail string) {
	ft.sendFailed(blocks, reason, detail)
	ft.end(len(blocks))
}

func (ft *fetch) sendFailed(blocks []int, reason shuffle.Reason, detail string) {
	if len(detail) > maxDetail {
		detail = detail[:maxDetail]
	}
	m := &bridgepb.Failed{
		RequestId: ft.id,
		Block:     make([]uint32, len(blocks)),
		Reason:    blockpb.Reason(reason),
		Detail:    strings.ToValidUTF8(detail, "?"),
	}
	for i, b := range blocks {
		m.Block[i] = uint32(b)
	}
	ft.fetches.ses.out.send(&bridgepb.ToJvm{Kind: &bridgepb.ToJvm_Failed{Failed: m}}, false)
}

// refuse fails all blocks of a request that is not begun.
func (ft *fetch) refuse(why string) {
	all := make([]int, ft.blocks)
	for i := range all {
		all[i] = i
	}
	ft.sendFailed(all, shuffle.ReasonNoSpace, why)
}

// cost is what the request takes of its application's share.
func (ft *fetch) cost() int64 { return fetchCost + int64(ft.blocks) }

// end counts blocks that ended; the last one ends the request.
func (ft *fetch) end(blocks int) {
	ft.left -= blocks
	invariants.Check(ft.left >= 0, "request %d: a block ended twice", ft.id)
	if ft.left != 0 || blocks == 0 {
		return
	}
	f := ft.fetches
	f.mu.Lock()
	delete(f.open, ft.id)
	f.blocks -= ft.blocks
	f.mu.Unlock()
	f.ses.server.opts.Quotas.Fetches.Give(f.ses.app.ID, ft.cost())
	ft.cancel(nil)
	f.running.Done()
}
