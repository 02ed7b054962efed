package jvmbridge_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"sync"
	"testing"

	"google.golang.org/protobuf/proto"

	"weft/internal/leakcheck"
	"weft/internal/metrics"
	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
	"weft/jvmbridge"
	"weft/jvmbridge/bridgetest"
	"weft/shuffle"
)

// framed makes frames of an input: two bytes of length and a message each, so that a mutation of one message leaves the others whole.
func framed(input []byte) []byte {
	var stream []byte
	for len(input) >= 2 {
		n := min(int(binary.BigEndian.Uint16(input)), len(input)-2)
		stream = append(binary.BigEndian.AppendUint32(stream, uint32(n)), input[2:2+n]...)
		input = input[2+n:]
	}
	return stream
}

// unframed is an input of which framed makes these messages.
func unframed(f *testing.F, messages ...*bridgepb.ToDaemon) (input []byte) {
	for _, m := range messages {
		b, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		input = append(binary.BigEndian.AppendUint16(input, uint16(len(b))), b...)
	}
	return input
}

// quiet is a fuzz target for what outlives an input: it may neither log nor be a helper while one is tried.
type quiet struct{ testing.TB }

func (quiet) Logf(string, ...any) {}
func (quiet) Helper()             {}

// An executor may send whatever frames it likes after Attach: its session alone ends, and all that it had is given back.
func FuzzSession(f *testing.F) {
	fetch := func(id uint64, pieces bool) *bridgepb.ToDaemon {
		m := fetchOf(pieces, "rdd_1_1")
		m.RequestId = id
		return &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Fetch{Fetch: m}}
	}
	release := func(lease uint64, n uint32) *bridgepb.ToDaemon {
		return &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Release{Release: &bridgepb.Release{Lease: []uint64{lease}, Count: []uint32{n}}}}
	}
	cancel := func(id uint64) *bridgepb.ToDaemon {
		return &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Cancel{Cancel: &bridgepb.Cancel{RequestId: id}}}
	}
	register := func(data, index string) *bridgepb.ToDaemon {
		return &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_RegisterMapOutput{RegisterMapOutput: &bridgepb.RegisterMapOutput{
			DataPath: data, IndexPath: index, NumPartitions: 1,
		}}}
	}
	for _, messages := range [][]*bridgepb.ToDaemon{
		{fetch(1, false), cancel(1), release(1, 1), release(1, 1)},
		{fetch(1, false), fetch(1, false)},
		{fetch(0, true), fetch(1<<63, false), cancel(7)},
		{release(1, 1), fetch(1, false)},
		{register("/proc/self/mem", "/dev/zero"), fetch(1, false)},
		{register("shuffle_0_0_0.data", "../../etc/passwd"), fetch(1, false)},
		{{Kind: &bridgepb.ToDaemon_UnregisterShuffle{UnregisterShuffle: &bridgepb.UnregisterShuffle{ShuffleId: 1}}}},
		{{Kind: &bridgepb.ToDaemon_BlockOpened{BlockOpened: &bridgepb.BlockOpened{UpcallId: 1, Result: &bridgepb.BlockOpened_Length{Length: 1 << 62}}}}},
		{openedWith(1, 1000), copiedOf(1, ""), openedWith(2, math.MaxUint64), copiedOf(2, "")},
		{openedWith(2, math.MaxInt64), openedWith(1, 1000), copiedOf(1, "disk on fire"), openedWith(1, 1)},
		{openedWith(1, 0), copiedOf(1, "")},
		{{Kind: &bridgepb.ToDaemon_BlockOpened{BlockOpened: &bridgepb.BlockOpened{UpcallId: 2, Result: &bridgepb.BlockOpened_Inline{Inline: []byte("small")}}}}},
		{{Kind: &bridgepb.ToDaemon_BlockOpened{BlockOpened: &bridgepb.BlockOpened{
			UpcallId: 1, Result: &bridgepb.BlockOpened_File{File: &bridgepb.FileRange{Path: "/etc/passwd", Length: math.MaxUint64}},
		}}}},
		{{Kind: &bridgepb.ToDaemon_BlockCopied{BlockCopied: &bridgepb.BlockCopied{UpcallId: 1}}}},
		{{Kind: &bridgepb.ToDaemon_FallbackReport{FallbackReport: &bridgepb.FallbackReport{Reason: blockpb.Reason(1 << 30), Blocks: 1 << 63, Bytes: ^uint64(0)}}}},
		{{Kind: &bridgepb.ToDaemon_Attach{Attach: &bridgepb.Attach{SessionId: 1}}}},
		{{Kind: &bridgepb.ToDaemon_Hello{Hello: bridgetest.Hello("app", "2")}}},
		{{}},
	} {
		f.Add(unframed(f, messages...))
	}
	r := newRig(quiet{f}, fetchFunc(func(ctx context.Context, req *shuffle.FetchRequest, sink shuffle.Sink) {
		if !req.Pieces {
			blocks := &contents{blocks: map[string][]byte{"rdd_1_1": pattern(1, 1000)}}
			blocks.Fetch(ctx, req, sink)
			return
		}
		all := make([]int, len(req.Blocks))
		for i := range all {
			all[i] = i
		}
		sink.Failed(all, shuffle.ReasonNotFound, "no pieces here")
	}), func(opts *jvmbridge.Options) { opts.OnSessions = func(int) {} }) // for all inputs, as is the other session: a daemon for each of them would take most of the time
	bystander := r.dial(f, bridgetest.Hello("app", "bystander"))
	mustWork(f, bystander) // it has its memory before anything is counted
	settled := func() bool {
		usage := r.budget.Usage()
		return usage[metrics.Receive].Leases == 0 && usage[metrics.Upcall].Leases == 0
	}
	eventually(f, "the bystander's block is given back", settled)
	directory := f.TempDir()
	before := leakcheck.Take()
	f.Fuzz(func(t *testing.T, input []byte) {
		t.Cleanup(func() { // what one input has left open, no other has to answer for
			if t.Failed() {
				before = leakcheck.Take()
			}
		})
		before.Check(t)
		hostile := r.dialRaw(t, bridgetest.Hello("app", "hostile", directory))
		ctx, cancel := context.WithCancel(t.Context())
		var asked sync.WaitGroup
		for range 2 { // upcalls 1 and 2 wait for its answer
			asked.Go(func() {
				for _, f := range r.askOf(ctx, "hostile", "block") {
					if f.Close != nil {
						f.Close()
					}
				}
			})
			hostile.readUpcall()
		}
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			_, _ = hostile.frames.Write(framed(input)) // the daemon may end the session meanwhile
			_ = hostile.frames.CloseWrite()
		}()
		if _, err := io.Copy(io.Discard, hostile.frames); errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal("the session did not end")
		}
		<-sent
		cancel()
		asked.Wait()
		eventually(t, "its session is gone", func() bool { return len(r.Sessions()) == 1 && len(r.registry.Status()) == 1 })
		mustWork(t, bystander)
		eventually(t, "what it was given is back", settled)
	})
}
