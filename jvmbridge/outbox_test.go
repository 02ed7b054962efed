package jvmbridge

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"weft/internal/pb/bridgepb"
)

// outboxPair is an outbox and the other end of its socket.
func outboxPair(t *testing.T) (*outbox, *net.UnixConn) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	var conns [2]*net.UnixConn
	for i, fd := range fds {
		file := os.NewFile(uintptr(fd), "socket")
		conn, err := net.FileConn(file)
		file.Close()
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = conn.(*net.UnixConn)
		t.Cleanup(func() { conn.Close() })
	}
	return newOutbox(conns[0]), conns[1]
}

func failed(id uint64, detail int) *bridgepb.ToJvm {
	return &bridgepb.ToJvm{Kind: &bridgepb.ToJvm_Failed{Failed: &bridgepb.Failed{RequestId: id, Detail: string(make([]byte, detail))}}}
}

func wantFailed(t *testing.T, in *frameReader, id uint64, detail int) {
	t.Helper()
	var m bridgepb.ToJvm
	if err := in.read(&m); err != nil {
		t.Fatal(err)
	}
	if f := m.GetFailed(); f.GetRequestId() != id || len(f.GetDetail()) != detail {
		t.Fatalf("frame %d with %d bytes, want %d with %d", f.GetRequestId(), len(f.GetDetail()), id, detail)
	}
}

// Frames are written by who sends them as long as the socket takes them, and by run from there on; all in order, and whole.
func TestOutbox(t *testing.T) {
	o, peer := outboxPair(t)
	in := &frameReader{r: peer}
	o.send(failed(1, 10), true) // nobody is in run
	wantFailed(t, in, 1, 10)

	const frames = 2000
	for id := uint64(2); id < frames; id++ {
		o.send(failed(id, int(id)), true)
	}
	if len(o.waiting) == 0 {
		t.Fatal("the socket took all; more frames are needed")
	}
	ended := make(chan error)
	go func() { ended <- o.run() }()
	for id := uint64(2); id < frames; id++ {
		if id%3 == 0 { // others come meanwhile
			o.send(failed(frames+id/3, 5), true)
		}
		wantFailed(t, in, id, int(id))
	}
	for id := uint64(3); id < frames; id += 3 {
		wantFailed(t, in, frames+id/3, 5)
	}
	o.close()
	if err := <-ended; !errors.Is(err, errOutboxClosed) {
		t.Errorf("ended with %v", err)
	}
}

// A frame that the socket takes a part of is written to its end by run, which waits.
func TestOutboxWakesRun(t *testing.T) {
	o, peer := outboxPair(t)
	ended := make(chan error)
	go func() { ended <- o.run() }()
	in := &frameReader{r: peer}
	o.send(failed(1, 10), false)
	wantFailed(t, in, 1, 10)
	o.send(failed(2, 8<<20), true)
	wantFailed(t, in, 2, 8<<20)
	o.close()
	<-ended
}

// What could stay where it is is not put into an outbox from which nobody takes, however many come at a time.
func TestOutboxHasRoom(t *testing.T) {
	o, peer := outboxPair(t)
	if o.sendInRoom(failed(1, intakeStop+1), intakeStop+1, false) || len(o.waiting) != 0 {
		t.Error("more was sent than may wait")
	}
	const part = intakeStop / 16
	var sent atomic.Int64
	var senders sync.WaitGroup
	for range 100 {
		senders.Go(func() {
			if o.sendInRoom(failed(1, part), part, false) { // nobody is in run
				sent.Add(1)
			}
		})
	}
	senders.Wait()
	if n := sent.Load(); n != 15 { // with their headers
		t.Errorf("%d of 16 frames were sent that have room", n)
	}
	ended := make(chan error)
	go func() { ended <- o.run() }()
	in := &frameReader{r: peer}
	for range sent.Load() {
		wantFailed(t, in, 1, part)
	}
	o.close()
	<-ended
}

// What a sender finds out about the socket is what the session ends with.
func TestOutboxBroken(t *testing.T) {
	o, peer := outboxPair(t)
	peer.Close()
	o.send(failed(1, 10), true)
	if !isEnd(o.broken) {
		t.Errorf("the sender found %v", o.broken)
	}
	if err := o.run(); !isEnd(err) {
		t.Errorf("ended with %v", err)
	}
	o.close()
}
