package lifeline

import (
	"net"
	"strings"
	"testing"
	"time"

	"weft/internal/leakcheck"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

const patience = 30 * time.Second

// watched is a listener that accepts one connection, and what is told of it.
func watched(t *testing.T) (accepted net.Conn, gone chan error, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	gone = make(chan error, 2)
	stop = Watch(l.Addr().String(), func(err error) { gone <- err })
	t.Cleanup(stop)
	if accepted, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	return accepted, gone, stop
}

func expect(t *testing.T, gone chan error, words string) {
	t.Helper()
	select {
	case err := <-gone:
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("told %v, expected %q", err, words)
		}
	case <-time.After(patience):
		t.Fatal("nothing was told")
	}
}

func TestEndIsTold(t *testing.T) {
	conn, gone, _ := watched(t)
	if _, err := conn.Write([]byte("what it says does not matter")); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	expect(t, gone, "closed the connection")
}

// A process that is killed with unread data in its socket resets the connection.
func TestResetIsTold(t *testing.T) {
	conn, gone, _ := watched(t)
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	expect(t, gone, "reset") // it may come before the connection was there for the watch
}

func TestNobodyListens(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	gone := make(chan error, 1)
	defer Watch(addr, func(err error) { gone <- err })()
	expect(t, gone, "refused")
}

func TestNothingIsToldAfterStop(t *testing.T) {
	conn, gone, stop := watched(t)
	stop()
	stop()
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the connection goes on: %d, %v", n, err)
	}
	select {
	case err := <-gone:
		t.Errorf("told %v after stop", err)
	default:
	}
}

// A connection that breaks is no end; that nobody listens any more is one.
func TestBrokenConnectionIsMadeAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 2)
	defer watch(l.Addr().String(), 0, func(err error) { gone <- err })()
	for range 3 {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-gone:
			t.Fatalf("told %v", err)
		default:
		}
		conn.Close()
	}
	last, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	last.Close()
	expect(t, gone, "refused")
}
