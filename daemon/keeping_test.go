package daemon

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weft/internal/leakcheck"
	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
	"weft/internal/status"
	"weft/jvmbridge/bridgetest"
)

// driver is what daemons watch: a listener and the connections to it.
type driver struct {
	net.Listener
	conns chan net.Conn
}

func startDriver(t testing.TB) *driver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &driver{l, make(chan net.Conn, 8)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			d.conns <- conn
		}
	}()
	t.Cleanup(func() {
		d.kill()
		<-done
	})
	return d
}

// kill ends the driver: its port and its connections are closed.
func (d *driver) kill() {
	d.Close()
	for {
		select {
		case conn := <-d.conns:
			conn.Close()
		default:
			return
		}
	}
}

// joinKept is join for an executor whose map outputs are to outlive it. Its directory lies in one of the application's.
func joinKept(t testing.TB, socket, name string, d *driver) *executor {
	t.Helper()
	e := &executor{name: name, dir: filepath.Join(t.TempDir(), "blockmgr")}
	if err := os.Mkdir(e.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	hello := bridgetest.Hello("app", name, e.dir)
	hello.Features, hello.DriverAddress = 1, d.Addr().String()
	var err error
	if e.Client, err = bridgetest.Dial(socket, hello); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	if e.Welcome.GetFeatures() != 1 {
		t.Fatalf("features %b in force", e.Welcome.GetFeatures())
	}
	return e
}

// end ends an executor as Spark does in good order.
func (e *executor) end(t testing.TB) {
	t.Helper()
	e.Close()
	if err := os.RemoveAll(e.dir); err != nil {
		t.Fatal(err)
	}
}

// kept are the directories for links beside the executor's.
func (e *executor) kept(t testing.TB) []string {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(filepath.Dir(e.dir), keptPrefix+"*"))
	if err != nil {
		t.Fatal(err)
	}
	return dirs
}

func TestEndedExecutorIsServedUntilItsDriverEnds(t *testing.T) {
	leakcheck.Check(t)
	a, b := startDaemon(t, testOptions(t)), startDaemon(t, testOptions(t))
	driver := startDriver(t)
	owner := joinKept(t, b.BridgeSocket, "1", driver)
	want := owner.mapOutput(t, 0, 0, 10, 100_000)
	owner.end(t)
	reader := join(t, a.BridgeSocket, "app", "2")
	eventually(t, "the session has ended", func() bool { return len(b.status(t).Sessions) == 0 })
	if s := b.status(t).Departed; len(s) != 1 || s[0] != (status.Departed{App: "app", Executor: "1", MapOutputs: 1, MapOutputBytes: 100_010}) {
		t.Errorf("departed: %+v", s)
	}
	got := reader.fetch(t, reader.shuffled(owner, 0, 0, 2))
	wantBlocks(t, got, want, "tcp")
	reader.release(t, got)
	wantReason(t, reader.fetch(t, reader.named(owner, "rdd_0_0")), blockpb.Reason_REASON_NOT_FOUND)

	driver.kill()
	eventually(t, "the links are removed", func() bool { return len(owner.kept(t)) == 0 })
	wantReason(t, reader.fetch(t, reader.shuffled(owner, 0, 0, 2)), blockpb.Reason_REASON_OWNER_GONE)
}

// Who breaks the rules leaves nothing, and neither does a daemon that ends.
func TestNothingOutlivesAViolationOrTheDaemon(t *testing.T) {
	leakcheck.Check(t)
	a := startDaemon(t, testOptions(t))
	driver := startDriver(t)
	bad, good := joinKept(t, a.BridgeSocket, "1", driver), joinKept(t, a.BridgeSocket, "2", driver)
	bad.mapOutput(t, 0, 0, 10)
	good.mapOutput(t, 0, 1, 10)
	bad.send(t, &bridgepb.ToDaemon{})
	eventually(t, "the links of who broke the rules are removed", func() bool { return len(bad.kept(t)) == 0 })
	good.end(t)
	eventually(t, "the session has ended", func() bool { return len(a.status(t).Sessions) == 0 })
	if len(good.kept(t)) != 1 {
		t.Errorf("the other executor's links: %v", good.kept(t))
	}
	a.stop()
	if left := good.kept(t); len(left) != 0 {
		t.Errorf("the daemon left %v", left)
	}
}

// A daemon that is killed with all its executors and the driver leaves links. The next one of the directory removes them, and nothing else.
func TestKilledDaemonsLinksAreRemoved(t *testing.T) {
	opts := testOptions(t)
	c := startChild(t, opts)
	driver := startDriver(t)
	owner := joinKept(t, filepath.Join(c.dir, BridgeSocket), "1", driver)
	owner.mapOutput(t, 0, 0, 10)
	strange := filepath.Join(filepath.Dir(owner.dir), keptPrefix+"of-somebody-else")
	precious := t.TempDir()
	link := filepath.Join(filepath.Dir(owner.dir), keptPrefix+strings.Repeat("0", 32))
	for _, err := range []error{os.Mkdir(strange, 0o700), os.WriteFile(filepath.Join(precious, "data"), nil, 0o600), os.Symlink(precious, link)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	list, err := openKeptList(filepath.Join(c.dir, keptFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{strange, link, filepath.Join(precious, "absent", keptPrefix+strings.Repeat("0", 32)), "relative"} {
		if err := list.add(path); err != nil {
			t.Fatal(err)
		}
	}
	c.kill()
	driver.kill()
	owner.end(t)
	if len(owner.kept(t)) != 3 {
		t.Fatalf("the killed daemon left %v", owner.kept(t))
	}
	startDaemon(t, opts)
	if left := owner.kept(t); len(left) != 1 || left[0] != strange {
		t.Errorf("left: %v, should be %s alone", left, strange)
	}
	if _, err := os.Stat(filepath.Join(precious, "data")); err != nil {
		t.Errorf("a symbolic link was followed: %v", err)
	}
	if content, err := os.ReadFile(list.path); err != nil || string(content) != strange+"\nrelative\n" {
		t.Errorf("the list: %q, %v; what could not be removed stays in it", content, err)
	}
}

func TestAPathWithALineBreakIsNotRecorded(t *testing.T) {
	list, err := openKeptList(filepath.Join(t.TempDir(), keptFile))
	if err != nil {
		t.Fatal(err)
	}
	if err := list.add("/a\n/b/" + keptPrefix + strings.Repeat("0", 32)); err == nil {
		t.Error("it was")
	}
	if removed, err := list.sweep(); removed != 0 || err != nil {
		t.Errorf("swept %d, %v", removed, err)
	}
}
