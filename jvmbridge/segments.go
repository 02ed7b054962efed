package jvmbridge

import (
	"errors"

	"weft/internal/metrics"
	"weft/internal/pb/bridgepb"
	"weft/jvmbridge/shm"
	"weft/shuffle/mempool"
)

// segments is the Backing of an arena: every region is a segment that the JVM is told of.
type segments struct {
	kind  bridgepb.SegmentKind
	out   *outbox
	files *files // of upcall segments, from which blocks are sent
}

// number makes the numbers of a session's two arenas one sequence.
func (s *segments) number(region uint32) uint32 { return region<<1 | uint32(s.kind) }

// NewRegion implements mempool.Backing.
func (s *segments) NewRegion(region uint32, size int64) ([]byte, func() error, error) {
	kind := shm.Receive
	if s.kind == bridgepb.SegmentKind_SEGMENT_UPCALL {
		kind = shm.Upcall
	}
	segment, err := shm.New(kind, size)
	if err != nil {
		return nil, nil, err
	}
	if err := s.files.keep(region, kind, segment); err != nil {
		return nil, nil, errors.Join(err, segment.Close())
	}
	number := s.number(region)
	s.out.sendSegment(&bridgepb.ToJvm{Kind: &bridgepb.ToJvm_AddSegment{AddSegment: &bridgepb.AddSegment{
		Segment: number, Kind: s.kind, Length: uint64(size),
	}}}, segment.TakeFD())
	return segment.Bytes(), func() error {
		s.out.send(&bridgepb.ToJvm{Kind: &bridgepb.ToJvm_DropSegment{DropSegment: &bridgepb.DropSegment{Segment: number}}}, false)
		return errors.Join(s.files.drop(region, kind), segment.Close())
	}, nil
}

// join begins the use of the device, if there is one.
func (ses *session) join() {
	ses.device.Leave = func() {}
	ses.deviceUsers.Store(1)
	if ses.server.opts.Join == nil {
		return
	}
	if ses.app.Encrypted {
		ses.log.Info("the RDMA device does not encrypt, and the blocks of this application have to be: they go over TCP under TLS")
		return
	}
	device, err := ses.server.opts.Join(ses.app)
	if err != nil {
		ses.log.Warn("an executor does without the RDMA device", "executor", ses.executor, "err", err)
		return
	}
	ses.device = device
}

func (ses *session) newArena(kind bridgepb.SegmentKind, bytes int64, registrar mempool.Registrar) *mempool.Arena {
	s := ses.server
	purpose := metrics.Receive
	if kind == bridgepb.SegmentKind_SEGMENT_UPCALL {
		purpose = metrics.Upcall
	}
	var registrars []mempool.Registrar
	if registrar != nil {
		registrars = append(registrars, registrar)
	}
	return mempool.NewArena(mempool.ArenaOptions{
		Backing:    &segments{kind: kind, out: ses.out, files: &ses.files},
		Budget:     s.budget,
		Holder:     ses.app.ID,
		Purpose:    purpose,
		RegionSize: s.opts.RegionBytes,
		Max:        bytes,
		Registrars: registrars,
		Gauges: mempool.Gauges{
			Allocated: s.metrics.ArenaBytes(purpose, metrics.Allocated),
			Leased:    s.metrics.ArenaBytes(purpose, metrics.Leased),
			Leases:    s.metrics.Leases(purpose),
		},
	})
}

func (ses *session) closeArenas() error {
	defer ses.unuseDevice()
	return errors.Join(ses.receive.Close(), ses.upcall.Close())
}

// unuseDevice ends the use of the device with its last user.
func (ses *session) unuseDevice() {
	if ses.deviceUsers.Add(-1) == 0 {
		ses.device.Leave()
	}
}

// segmentOf is the JVM's number of the segment that l lies in.
func segmentOf(kind bridgepb.SegmentKind, l *mempool.Lease) uint32 {
	return (&segments{kind: kind}).number(l.Region())
}
