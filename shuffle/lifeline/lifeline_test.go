package lifeline

import (
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

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

// A process that is killed with unread data in its socket resets the connection, at the earliest before whoever connects has looked.
func TestResetIsTold(t *testing.T) {
	conn, gone, _ := watched(t)
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	expect(t, gone, "connection reset")
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

// short are such times that a test need not wait long.
var short = times{pause: 20 * time.Millisecond, patience: time.Minute}

// Who ends connections again and again, and goes on listening, lives; it is gone when its port is closed.
func TestConnectsAgain(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 2)
	defer short.watch(l.Addr().String(), func(err error) { gone <- err })()
	for range 3 {
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * short.pause) // as who ends what is idle; at once it would be a process that ends
		conn.Close()
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-gone:
		t.Fatalf("told %v of who listens", err)
	default:
	}
	l.Close()
	time.Sleep(5 * short.pause)
	conn.Close()
	expect(t, gone, "refused")
}

// An error that does not say that the port is closed is not the end of who was connected: here no descriptor is left for a while.
func TestOwnTroubleIsNotTheEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	gone := make(chan error, 2)
	defer short.watch(l.Addr().String(), func(err error) { gone <- err })()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * short.pause)
	restore := noDescriptors(t)
	conn.Close()
	time.Sleep(10 * short.pause)
	restore()
	if conn, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	select {
	case err := <-gone:
		t.Errorf("told %v of who listens", err)
	default:
	}
}

// It is told in the end, where nothing answers at all.
func TestPatienceEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	gone := make(chan error, 2)
	defer times{pause: short.pause, patience: 10 * short.pause}.watch(l.Addr().String(), func(err error) { gone <- err })()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(5 * short.pause)
	restore := noDescriptors(t)
	conn.Close()
	time.Sleep(20 * short.pause)
	expect(t, gone, "too many open files")
	restore()
}

// noDescriptors lets this process open no file until restore, or the test's end.
func noDescriptors(t *testing.T) (restore func()) {
	t.Helper()
	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: before.Max}); err != nil {
		t.Fatal(err)
	}
	restore = func() { _ = unix.Setrlimit(unix.RLIMIT_NOFILE, &before) }
	t.Cleanup(restore)
	return restore
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
