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

// watched is a listener that is watched, and what is told of it.
func watched(t *testing.T, w times) (l net.Listener, gone chan error, stop func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	gone = make(chan error, 2)
	stop = w.watch(l.Addr().String(), func(err error) { gone <- err })
	t.Cleanup(stop)
	return l, gone, stop
}

func accept(t *testing.T, l net.Listener) net.Conn {
	t.Helper()
	if err := l.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// once is watched with the usual times by who accepts one connection.
func once(t *testing.T) (accepted net.Conn, gone chan error, stop func()) {
	t.Helper()
	l, gone, stop := watched(t, usual)
	accepted = accept(t, l)
	l.Close()
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
	conn, gone, _ := once(t)
	if _, err := conn.Write([]byte("what it says does not matter")); err != nil {
		t.Fatal(err)
	}
	conn.Close()
	expect(t, gone, "closed the connection")
}

// A process that is killed with unread data in its socket resets the connection, at the earliest before whoever connects has looked.
func TestResetIsTold(t *testing.T) {
	conn, gone, _ := once(t)
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

// Without a pause no connection is too short for another, so these tests need not wait for one to be long enough.
var patient = times{patience: time.Minute}

func tellsNothing(t *testing.T, gone chan error) {
	t.Helper()
	select {
	case err := <-gone:
		t.Errorf("told %v of who listens", err)
	default:
	}
}

// Who ends connections again and again, and goes on listening, lives; it is gone when its port is closed.
func TestConnectsAgain(t *testing.T) {
	l, gone, _ := watched(t, patient)
	for range 3 {
		accept(t, l).Close()
	}
	conn := accept(t, l)
	tellsNothing(t, gone)
	l.Close()
	conn.Close()
	expect(t, gone, "refused")
}

// An error that does not say that the port is closed is not the end of who was connected: here no descriptor is left for a while.
func TestOwnTroubleIsNotTheEnd(t *testing.T) {
	l, gone, _ := watched(t, patient)
	conn := accept(t, l)
	restore := noDescriptors(t)
	conn.Close()
	time.Sleep(100 * time.Millisecond) // in which it tries in vain
	restore()
	accept(t, l)
	tellsNothing(t, gone)
}

// It is told in the end, where nothing answers at all.
func TestPatienceEnds(t *testing.T) {
	l, gone, _ := watched(t, times{})
	conn := accept(t, l)
	noDescriptors(t)
	conn.Close()
	expect(t, gone, "too many open files")
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
	conn, gone, stop := once(t)
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
