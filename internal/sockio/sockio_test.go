package sockio_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"weft/internal/sockio"
)

// pair is a TCP connection's two ends.
func pair(t *testing.T) (a, b *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialled, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialled.Close(); accepted.Close() })
	return dialled.(*net.TCPConn), accepted.(*net.TCPConn)
}

func raw(t *testing.T, c syscall.Conn) syscall.RawConn {
	t.Helper()
	rc, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	return rc
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

// Slices of a few bytes, of none, and more of both than go directly, arrive whole.
func TestWhatIsSentIsRead(t *testing.T) {
	for name, bufs := range map[string][][]byte{
		"one":             {pattern(10)},
		"one of much":     {pattern(200 << 10)},
		"two":             {pattern(8), pattern(128 << 10)},
		"an empty one":    {pattern(8), nil, pattern(3)},
		"many":            {pattern(1), pattern(2), pattern(3), pattern(4), pattern(5), pattern(6), pattern(7), pattern(8), pattern(9)},
		"little, at most": {pattern(1), pattern(2), pattern(3), pattern(4), pattern(5), pattern(6), pattern(7), pattern(128<<10 - 28)},
	} {
		t.Run(name, func(t *testing.T) {
			a, b := pair(t)
			want := bytes.Join(bufs, nil)
			sent := make(chan error, 1)
			go func() { sent <- send(raw(t, a), bufs) }()
			got := make([]byte, len(want))
			if _, err := io.ReadFull(sockio.NewReader(raw(t, b)), got); err != nil {
				t.Fatal(err)
			}
			if err := <-sent; err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Error("other bytes arrived")
			}
		})
	}
}

// send sends bufs by as many calls as it takes.
func send(rc syscall.RawConn, bufs [][]byte) error {
	var failed error
	waited := rc.Write(func(fd uintptr) bool {
		for len(bufs) > 0 {
			n, err := sockio.Send(int(fd), bufs, 0)
			if errors.Is(err, unix.EAGAIN) {
				return false
			}
			if err != nil {
				failed = err
				return true
			}
			for len(bufs) > 0 && n >= len(bufs[0]) {
				n -= len(bufs[0])
				bufs = bufs[1:]
			}
			if n > 0 {
				bufs[0] = bufs[0][n:]
			}
		}
		return true
	})
	return errors.Join(waited, failed)
}

func TestWriteNeverWaits(t *testing.T) {
	a, b := pair(t)
	for _, size := range []int{1000, 100 << 10} { // directly, and not
		written := 0
		var err error
		if failed := raw(t, a).Control(func(fd uintptr) {
			for err == nil {
				var n int
				n, err = sockio.Write(int(fd), pattern(size))
				written += max(n, 0)
			}
		}); failed != nil {
			t.Fatal(failed)
		}
		if !errors.Is(err, unix.EAGAIN) {
			t.Errorf("a full socket: %v", err)
		}
		if n, err := io.CopyN(io.Discard, sockio.NewReader(raw(t, b)), int64(written)); err != nil {
			t.Errorf("%d of %d bytes arrived: %v", n, written, err)
		}
	}
}

// What ends the waiting, and the stream, is told as package net tells it.
func TestReaderEnds(t *testing.T) {
	a, b := pair(t)
	in := sockio.NewReader(raw(t, b))
	if n, err := in.Read(nil); n != 0 || err != nil {
		t.Errorf("no bytes: %d, %v", n, err)
	}
	if err := b.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	if err := b.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	a.CloseWrite()
	if n, err := in.Read(make([]byte, 10)); n != 1 || err != nil {
		t.Errorf("the last byte: %d, %v", n, err)
	}
	if _, err := in.Read(make([]byte, 10)); !errors.Is(err, io.EOF) {
		t.Errorf("the end: %v", err)
	}
	b.Close()
	if _, err := in.Read(make([]byte, 10)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

func TestResetConnection(t *testing.T) {
	a, b := pair(t)
	in := sockio.NewReader(raw(t, b))
	got := make(chan error, 1)
	go func() {
		_, err := in.Read(make([]byte, 1))
		got <- err
	}()
	if err := a.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	a.Close()
	if err := <-got; !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("read: %v", err)
	}
	if err := send(raw(t, b), [][]byte{{1}}); !errors.Is(err, unix.EPIPE) && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("send: %v", err)
	}
}
