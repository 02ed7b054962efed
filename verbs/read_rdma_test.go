//go:build rdma

package verbs_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"weft/internal/leakcheck"
	"weft/verbs"
	"weft/verbs/verbstest"
)

func fill(mem []byte, seed uint64) {
	r := rand.NewPCG(seed, seed)
	for i := range mem {
		mem[i] = byte(r.Uint64())
	}
}

// One posting of many READs: each brings its bytes, in pieces of memory of this side.
func TestReads(t *testing.T) {
	leakcheck.Check(t)
	client, server := verbstest.Pair(t, verbstest.Device(t), verbstest.Config{})
	const piece, count = 64 << 10, 32
	source, there := server.Register(t, piece*count, verbs.RemoteRead)
	target, here := client.Register(t, piece*count, verbs.LocalWrite)
	fill(source, 1)
	batch := verbs.NewSendBatch(count, 2)
	defer verbstest.Close(t, batch)
	for i := range count {
		off := (count - 1 - i) * piece // the last first
		batch.Read(uint64(i), there.Remote(off), verbs.Signaled, here.SGE(off, 1000), here.SGE(off+1000, piece-1000))
	}
	if n, err := client.QP.PostSend(batch); n != count || err != nil {
		t.Fatalf("posted %d, %v", n, err)
	}
	for i := range count {
		wc := client.Completion(t)
		if err := wc.Err(); err != nil {
			t.Fatal(err)
		}
		if wc.ID() != uint64(i) || wc.Received() || wc.QPN() != client.QP.Num() {
			t.Errorf("completion %d is of request %d of QP %d", i, wc.ID(), wc.QPN())
		}
	}
	if !bytes.Equal(source, target) {
		t.Error("the bytes differ")
	}
}

// An armed queue tells once; a goroutine waits for it without a thread, and is let go by a deadline or the end.
func TestCompletionEvents(t *testing.T) {
	leakcheck.Check(t)
	client, server := verbstest.Pair(t, verbstest.Device(t), verbstest.Config{})
	_, there := server.Register(t, 4096, verbs.RemoteRead)
	_, here := client.Register(t, 4096, verbs.LocalWrite)
	batch := verbs.NewSendBatch(1, 1)
	defer verbstest.Close(t, batch)
	for range 3 {
		if err := client.CQ.Arm(); err != nil {
			t.Fatal(err)
		}
		batch.Read(7, there.Remote(0), verbs.Signaled, here.SGE(0, 4096))
		if _, err := client.QP.PostSend(batch); err != nil {
			t.Fatal(err)
		}
		cq, err := client.Channel.Wait(time.Now().Add(verbstest.Patience))
		if err != nil || cq != client.CQ {
			t.Fatalf("waited for %p, got %p, %v", client.CQ, cq, err)
		}
		if wc := client.Completion(t); wc.Err() != nil || wc.ID() != 7 {
			t.Fatal(wc.Err())
		}
		if _, err := client.Channel.Wait(time.Now().Add(20 * time.Millisecond)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a second event: %v", err)
		}
	}
	ended := make(chan error)
	go func() {
		_, err := client.Channel.Wait(time.Time{})
		ended <- err
	}()
	if err := client.Channel.Interrupt(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, verbs.ErrClosed) {
		t.Errorf("a wait that is interrupted: %v", err)
	}
}

// What the peer did not allow is refused by its device, and ends the connection; what follows is flushed.
func TestRefusedReads(t *testing.T) {
	device := verbstest.Device(t)
	for name, spoil := range map[string]func(r *verbs.Remote){
		"wrong rkey":       func(r *verbs.Remote) { r.RKey ^= 0x5a00 },
		"past the end":     func(r *verbs.Remote) { r.Addr++ },
		"before the start": func(r *verbs.Remote) { r.Addr-- },
	} {
		t.Run(name, func(t *testing.T) {
			leakcheck.Check(t)
			client, server := verbstest.Pair(t, device, verbstest.Config{})
			source, there := server.Register(t, 4096, verbs.RemoteRead)
			target, here := client.Register(t, 4096, verbs.LocalWrite)
			fill(source, 2)
			batch := verbs.NewSendBatch(2, 1)
			defer verbstest.Close(t, batch)
			from := there.Remote(0)
			spoil(&from)
			batch.Read(1, from, verbs.Signaled, here.SGE(0, 4096))
			batch.Read(2, there.Remote(0), verbs.Signaled, here.SGE(0, 4096))
			if _, err := client.QP.PostSend(batch); err != nil {
				t.Fatal(err)
			}
			first, second := client.Completion(t), client.Completion(t)
			if first.ID() != 1 || !errors.Is(first.Err(), verbs.WCRemAccessErr) {
				t.Errorf("first: %v", first.Err())
			}
			if second.ID() != 2 || !errors.Is(second.Err(), verbs.WCWRFlushErr) {
				t.Errorf("second: %v", second.Err())
			}
			if !bytes.Equal(target, make([]byte, 4096)) {
				t.Error("something was delivered")
			}
			if state, err := client.QP.State(); state != verbs.QPErr || err != nil {
				t.Errorf("state %d, %v", state, err)
			}
		})
	}
}

// A region that is closed while a peer knows its key cannot be read any more.
func TestClosedRegionIsOutOfReach(t *testing.T) {
	leakcheck.Check(t)
	client, server := verbstest.Pair(t, verbstest.Device(t), verbstest.Config{})
	there, err := server.PD.RegMR(verbstest.Memory(t, 4096), verbs.RemoteRead)
	if err != nil {
		t.Fatal(err)
	}
	from := there.Remote(0)
	verbstest.Close(t, there)
	_, here := client.Register(t, 4096, verbs.LocalWrite)
	batch := verbs.NewSendBatch(1, 1)
	defer verbstest.Close(t, batch)
	batch.Read(1, from, verbs.Signaled, here.SGE(0, 4096))
	if _, err := client.QP.PostSend(batch); err != nil {
		t.Fatal(err)
	}
	if wc := client.Completion(t); !errors.Is(wc.Err(), verbs.WCRemAccessErr) {
		t.Errorf("%v", wc.Err())
	}
}

// The path of a READ allocates nothing.
func TestPostAndPollAllocateNothing(t *testing.T) {
	client, server := verbstest.Pair(t, verbstest.Device(t), verbstest.Config{})
	_, there := server.Register(t, 4096, verbs.RemoteRead)
	_, here := client.Register(t, 4096, verbs.LocalWrite)
	batch := verbs.NewSendBatch(16, 1)
	defer verbstest.Close(t, batch)
	wcs := make([]verbs.WC, 16)
	from, to := there.Remote(0), here.SGE(0, 256)
	allocated := testing.AllocsPerRun(20, func() {
		for i := range 16 {
			batch.Read(uint64(i), from, verbs.Signaled, to)
		}
		if n, err := client.QP.PostSend(batch); n != 16 || err != nil {
			t.Fatal(n, err)
		}
		for left := 16; left > 0; {
			n, err := client.CQ.Poll(wcs)
			if err != nil {
				t.Fatal(err)
			}
			left -= n
		}
	})
	if allocated != 0 {
		t.Errorf("%v allocations for 16 READs", allocated)
	}
}
