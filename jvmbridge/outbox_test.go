package jvmbridge

import (
	"errors"
	"net"
	"os"
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

// What lies somewhere else is not put into an outbox from which nobody takes.
func TestOutboxHasRoom(t *testing.T) {
	o, peer := outboxPair(t)
	if !o.hasRoom(intakeStop) || o.hasRoom(intakeStop+1) {
		t.Error("an empty outbox has not the room that it should have")
	}
	o.send(failed(1, intakeStop/2), false) // nobody is in run
	if !o.hasRoom(intakeStop/4) || o.hasRoom(intakeStop/2) {
		t.Error("what waits does not count")
	}
	ended := make(chan error)
	go func() { ended <- o.run() }()
	wantFailed(t, &frameReader{r: peer}, 1, intakeStop/2)
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
