package jvmbridge_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/protobuf/proto"

	"weft/internal/metrics"
	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
	"weft/jvmbridge"
	"weft/jvmbridge/bridgetest"
	"weft/shuffle"
)

// ask locates blocks of executor "1" of application "app", as a peer would: one block without waiting, where that can be.
func (r *rig) ask(ctx context.Context, names ...string) []shuffle.Found {
	return r.askOf(ctx, "1", names...)
}

// askOf is ask, of another executor.
func (r *rig) askOf(ctx context.Context, executor string, names ...string) []shuffle.Found {
	req, service := request(executor, names...), shuffle.NewService(r.registry)
	got := make(chan shuffle.Found, 1)
	if service.Ask(ctx, req, func(f []shuffle.Found) { got <- f[0] }) {
		return []shuffle.Found{<-got}
	}
	found, err := service.Locate(ctx, req)
	if err != nil {
		found = make([]shuffle.Found, len(names))
		for i := range found {
			found[i].Err = shuffle.ToBlockError(err)
		}
	}
	return found
}

func request(executor string, names ...string) *shuffle.LocateRequest {
	req := &shuffle.LocateRequest{Executor: executor, App: shuffle.App{ID: "app"}}
	copy(req.App.Token[:], bridgetest.Hello("app", "1").GetAppToken())
	for _, name := range names {
		req.Blocks = append(req.Blocks, shuffle.BlockID{Name: name})
	}
	return req
}

func reasonOf(f shuffle.Found) shuffle.Reason {
	if f.Err == nil {
		return shuffle.ReasonNone
	}
	return f.Err.Reason
}

func TestUpcallsGetEveryKindOfAnswer(t *testing.T) {
	r := newRig(t, table, nil)
	c := r.dial(t, bridgetest.Hello("app", "1"))
	large := pattern(5, 1<<20+1)
	c.Serve(func(name string) bridgetest.Answer {
		switch name {
		case "broadcast_1":
			return bridgetest.Answer{Inline: []byte("small")}
		case "test_1weightBytes0":
			return bridgetest.Answer{Held: large}
		case "empty":
			return bridgetest.Answer{Held: []byte{}}
		case "huge":
			return bridgetest.Answer{Held: make([]byte, 5<<20)}
		case "busy":
			return bridgetest.Answer{Error: &bridgepb.UpcallError{Reason: blockpb.Reason_REASON_TIMEOUT, Detail: "locked"}}
		case "vague":
			return bridgetest.Answer{Error: &bridgepb.UpcallError{Reason: 99}}
		case "outside":
			return bridgetest.Answer{File: &bridgepb.FileRange{Path: "/etc/passwd", Length: 1}}
		default:
			return bridgetest.Answer{}
		}
	})
	found := r.ask(t.Context(), "broadcast_1", "test_1weightBytes0", "empty", "huge", "busy", "vague", "outside", "gone")
	if !bytes.Equal(found[0].Mem, []byte("small")) || !bytes.Equal(found[1].Mem, large) || found[2].Err != nil || found[2].Length != 0 {
		t.Errorf("blocks: %q, %d bytes, %v", found[0].Mem, len(found[1].Mem), found[2])
	}
	inFile := make([]byte, len(large))
	if _, err := found[1].MemFile.ReadAt(inFile, found[1].MemOffset); err != nil || !bytes.Equal(inFile, large) {
		t.Errorf("the segment's file has other bytes than the block (%v)", err)
	}
	if found[1].CRC != shuffle.Checksum(large) {
		t.Error("the checksum is not that of the bytes")
	}
	want := []shuffle.Reason{0, 0, 0, shuffle.ReasonTooLarge, shuffle.ReasonTimeout, shuffle.ReasonInternal, shuffle.ReasonInternal, shuffle.ReasonNotFound}
	for i, f := range found {
		if i != 6 && reasonOf(f) != want[i] {
			t.Errorf("block %d: %v, want %v", i, f.Err, want[i])
		}
	}
	if found[6].Err == nil {
		t.Error("a file outside the executor's directories was served")
	}
	if got := r.budget.Usage()[metrics.Upcall].Leases; got != 1 {
		t.Errorf("%d leases while one block is served from memory", got)
	}
	for _, f := range found {
		if f.Close != nil {
			f.Close()
		}
	}
	if got := r.budget.Usage()[metrics.Upcall].Leases; got != 0 {
		t.Errorf("%d leases left", got)
	}
	eventually(t, "the executor holds nothing open", func() bool { return c.Held() == 0 })
	if ok, failed := testutil.ToFloat64(r.metrics.Upcalls(metrics.OK)), testutil.ToFloat64(r.metrics.Upcalls(metrics.Failed)); ok+failed != 8 || failed < 4 {
		t.Errorf("counted %v good and %v failed upcalls", ok, failed)
	}
}

// The block is read at the moment it is asked for: BigDL rewrites its blocks in place.
func TestUpcallsAreNeverCached(t *testing.T) {
	r := newRig(t, table, nil)
	c := r.dial(t, bridgetest.Hello("app", "1"))
	version := byte(0)
	c.Serve(func(string) bridgetest.Answer {
		version++
		return bridgetest.Answer{Held: bytes.Repeat([]byte{version}, 100_000)}
	})
	for want := byte(1); want < 4; want++ {
		f := r.ask(t.Context(), "test_1weightBytes0")[0]
		if f.Err != nil || f.Mem[0] != want || f.Mem[99_999] != want {
			t.Fatalf("version %d: %v", want, f.Err)
		}
		f.Close()
	}
}

func TestManyUpcallsAtOnce(t *testing.T) {
	r := newRig(t, table, nil)
	c := r.dial(t, bridgetest.Hello("app", "1"))
	c.Serve(func(name string) bridgetest.Answer {
		return bridgetest.Answer{Held: bytes.Repeat([]byte(name), 10_000)}
	})
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 30 {
				name := fmt.Sprintf("rdd_%d_%d", g, i)
				f := r.ask(t.Context(), name)[0]
				if f.Err != nil || !bytes.Equal(f.Mem, bytes.Repeat([]byte(name), 10_000)) {
					t.Errorf("%s: %v", name, f.Err)
					continue
				}
				f.Close()
			}
		})
	}
	wg.Wait()
}

// upcall begins to ask for a block and returns the question as the executor gets it.
func upcall(t *testing.T, r *rig, s *raw, ctx context.Context) (id uint64, result chan shuffle.Found) {
	t.Helper()
	result = make(chan shuffle.Found, 1)
	go func() { result <- r.ask(ctx, "block")[0] }()
	return s.readUpcall().GetOpenBlock().GetUpcallId(), result
}

// readUpcall skips segments.
func (s *raw) readUpcall() *bridgepb.ToJvm {
	for {
		if m := s.read(); m.GetAddSegment() == nil {
			return m
		}
	}
}

func openedWith(id, length uint64) *bridgepb.ToDaemon {
	return &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_BlockOpened{BlockOpened: &bridgepb.BlockOpened{
		UpcallId: id, Result: &bridgepb.BlockOpened_Length{Length: length},
	}}}
}

func copiedOf(id uint64, words string) *bridgepb.ToDaemon {
	return &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_BlockCopied{BlockCopied: &bridgepb.BlockCopied{UpcallId: id, Error: words}}}
}

// A block that the executor has summed while it copied it is not read again; one that it has not is.
func TestTheExecutorsChecksumCounts(t *testing.T) {
	r := newRig(t, table, func(o *jvmbridge.Options) { o.Checksum = true })
	s := r.dialRaw(t, bridgetest.Hello("app", "1"))
	for _, sum := range []*uint32{nil, proto.Uint32(7)} {
		id, result := upcall(t, r, s, t.Context())
		s.send(openedWith(id, 1000))
		if m := s.readUpcall().GetCopyBlock(); m.GetUpcallId() != id || !m.GetChecksum() {
			t.Fatalf("%v, want CopyBlock with a checksum", m)
		}
		m := copiedOf(id, "")
		m.GetBlockCopied().Checksum = sum
		s.send(m)
		f := <-result
		if f.Err != nil {
			t.Fatal(f.Err)
		}
		want := shuffle.Checksum(f.Mem)
		if sum != nil {
			want = *sum
		}
		if !f.Checked || f.CRC != want {
			t.Errorf("checksum %x (checked %t), want %x", f.CRC, f.Checked, want)
		}
		f.Close()
		s.readUpcall() // CloseBlock
	}
}

func TestALateOpenIsClosed(t *testing.T) {
	r := newRig(t, table, nil)
	s := r.dialRaw(t, bridgetest.Hello("app", "1"))
	ctx, cancel := context.WithCancel(t.Context())
	id, result := upcall(t, r, s, ctx)
	cancel()
	if f := <-result; reasonOf(f) != shuffle.ReasonCancelled {
		t.Errorf("%v, want cancelled", f.Err)
	}
	s.send(openedWith(id, 1000))
	if m := s.read(); m.GetCloseBlock().GetUpcallId() != id { // and no segment: memory is not made for nobody
		t.Errorf("%v, want CloseBlock", m)
	}
	s.send(openedWith(id, 1000)) // and a second answer is a violation
	if err := bridgetest.ReadFrame(s.frames, &bridgepb.ToJvm{}); err == nil {
		t.Error("the session goes on")
	}
}

// An executor may say any length. What there is no memory for is refused, and the daemon lives on.
func TestAnUpcallOfImpossibleLength(t *testing.T) {
	r := newRig(t, table, nil)
	s := r.dialRaw(t, bridgetest.Hello("app", "1"))
	whole := func(length uint64) shuffle.Found {
		id, result := upcall(t, r, s, t.Context())
		s.send(openedWith(id, length))
		m := s.readUpcall()
		if m.GetCopyBlock() != nil {
			s.send(copiedOf(id, ""))
			m = s.readUpcall()
		}
		if m.GetCloseBlock().GetUpcallId() != id {
			t.Errorf("%v, want CloseBlock", m)
		}
		return <-result
	}
	possible := whole(1000) // there is a region with room from now on
	if possible.Err != nil {
		t.Fatal(possible.Err)
	}
	for _, length := range []uint64{math.MaxUint64, math.MaxInt64, math.MaxInt64 - 4095, 1 << 40, 5 << 20} {
		if f := whole(length); reasonOf(f) != shuffle.ReasonTooLarge {
			t.Errorf("%d bytes: %v, want too_large", length, f.Err)
		}
	}
	if n := r.budget.Usage()[metrics.Upcall].Leases; n != 1 {
		t.Errorf("%d leases, want that of the possible block", n)
	}
	possible.Close()
}

// While the executor may still copy into it, the memory of an upcall that was given up is nobody else's.
func TestMemoryWaitsForALateCopy(t *testing.T) {
	r := newRig(t, table, nil)
	s := r.dialRaw(t, bridgetest.Hello("app", "1"))
	ctx, cancel := context.WithCancel(t.Context())
	id, result := upcall(t, r, s, ctx)
	s.send(openedWith(id, 100_000))
	first := s.readUpcall().GetCopyBlock()
	cancel()
	if f := <-result; f.Err == nil {
		t.Error("the block arrived without its bytes")
	}
	leases := func() int64 { return r.budget.Usage()[metrics.Upcall].Leases }
	if n := leases(); n != 1 {
		t.Fatalf("%d leases while the executor copies", n)
	}
	otherID, other := upcall(t, r, s, t.Context())
	s.send(openedWith(otherID, 100_000))
	second := s.readUpcall().GetCopyBlock()
	if second.GetSegment() == first.GetSegment() && second.GetOffset() == first.GetOffset() {
		t.Error("the memory went to another block while the executor may write to it")
	}
	s.send(copiedOf(id, ""))
	if m := s.readUpcall(); m.GetCloseBlock().GetUpcallId() != id {
		t.Errorf("%v, want CloseBlock of the late one", m)
	}
	eventually(t, "its memory is free", func() bool { return leases() == 1 })
	s.send(copiedOf(otherID, "disk on fire"))
	if f := <-other; reasonOf(f) != shuffle.ReasonInternal || !strings.Contains(f.Err.Detail, "disk on fire") {
		t.Errorf("a failed copy: %v", f.Err)
	}
	eventually(t, "nothing is left", func() bool { return leases() == 0 })
}

func TestTheSessionsEndFailsUpcalls(t *testing.T) {
	r := newRig(t, table, nil)
	s := r.dialRaw(t, bridgetest.Hello("app", "1"))
	_, unopened := upcall(t, r, s, t.Context())
	id, uncopied := upcall(t, r, s, t.Context())
	s.send(openedWith(id, 100_000))
	if m := s.readUpcall(); m.GetCopyBlock() == nil {
		t.Fatalf("%v, want CopyBlock", m)
	}
	ctx, cancel := context.WithCancel(t.Context())
	abandonedID, abandoned := upcall(t, r, s, ctx)
	s.send(openedWith(abandonedID, 100_000))
	if m := s.readUpcall(); m.GetCopyBlock() == nil {
		t.Fatalf("%v, want CopyBlock", m)
	}
	cancel()
	<-abandoned
	_ = s.frames.Close()
	for _, result := range []chan shuffle.Found{unopened, uncopied} {
		if f := <-result; reasonOf(f) != shuffle.ReasonOwnerGone {
			t.Errorf("%v, want owner_gone", f.Err)
		}
	}
	eventually(t, "the memory is back", func() bool { return r.budget.Usage()[metrics.Upcall].Leases == 0 })
}

func TestAHungExecutorHasABoundedNumberOfQuestions(t *testing.T) {
	r := newRig(t, table, nil)
	s := r.dialRaw(t, bridgetest.Hello("app", "1"))
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() { r.ask(ctx, "block") })
	}
	for range 64 {
		if m := s.read(); m.GetOpenBlock() == nil {
			t.Fatalf("%v, want OpenBlock", m)
		}
	}
	_ = s.frames.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if err := bridgetest.ReadFrame(s.frames, &bridgepb.ToJvm{}); err == nil {
		t.Error("more questions than an executor may have open")
	}
	cancel()
	wg.Wait()
}

func TestAFullUpcallArena(t *testing.T) {
	r := newRig(t, table, func(o *jvmbridge.Options) { o.UpcallBytes, o.MemoryWait = 1<<20, 10*time.Millisecond })
	c := r.dial(t, bridgetest.Hello("app", "1"))
	c.Serve(func(string) bridgetest.Answer { return bridgetest.Answer{Held: make([]byte, 700_000)} })
	first := r.ask(t.Context(), "a")[0]
	if first.Err != nil {
		t.Fatal(first.Err)
	}
	if f := r.ask(t.Context(), "b")[0]; reasonOf(f) != shuffle.ReasonNoSpace {
		t.Errorf("%v, want no_space", f.Err)
	}
	eventually(t, "the block that could not be copied is closed", func() bool { return c.Held() == 0 })
	first.Close()
	second := r.ask(t.Context(), "b")[0]
	if second.Err != nil {
		t.Fatal(second.Err)
	}
	second.Close()
}

// The session may end between the answer and the memory for it: the owner is gone then, and nothing is broken in the daemon.
func TestTheSessionsEndWhileMemoryIsWaitedFor(t *testing.T) {
	r := newRig(t, table, func(o *jvmbridge.Options) { o.UpcallBytes, o.MemoryWait = 1<<20, patience })
	s := r.dialRaw(t, bridgetest.Hello("app", "1"))
	first, full := upcall(t, r, s, t.Context())
	s.send(openedWith(first, 700_000))
	if m := s.readUpcall(); m.GetCopyBlock() == nil {
		t.Fatalf("%v, want CopyBlock", m)
	}
	second, waiting := upcall(t, r, s, t.Context())
	s.send(openedWith(second, 700_000))
	_ = s.frames.Close()
	for _, result := range []chan shuffle.Found{full, waiting} {
		if f := <-result; reasonOf(f) != shuffle.ReasonOwnerGone {
			t.Errorf("%v, want owner_gone", f.Err)
		}
	}
}

// Peers may ask before the executor has attached its descriptor socket.
func TestUpcallsWaitForAttach(t *testing.T) {
	r := newRig(t, table, nil)
	conn := r.connect(t)
	hello := &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Hello{Hello: bridgetest.Hello("app", "1")}}
	if err := bridgetest.WriteFrame(conn, hello); err != nil {
		t.Fatal(err)
	}
	if err := bridgetest.ReadFrame(conn, &bridgepb.ToJvm{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errors.New("the peer's patience"))
	defer cancel()
	if f := r.ask(ctx, "block")[0]; f.Err == nil {
		t.Error("answered by an executor that was not asked")
	}
	_ = conn.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if err := bridgetest.ReadFrame(conn, &bridgepb.ToJvm{}); err == nil {
		t.Error("asked before Attach")
	}
}
