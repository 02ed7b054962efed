package daemon

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weft/internal/leakcheck"
	"weft/internal/options"
	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
	"weft/internal/status"
	"weft/jvmbridge/bridgetest"
	"weft/shuffle"
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
	return joinKeptWith(t, socket, name, d, outlives)
}

// outlives is the bit of Hello's features for that.
const outlives uint64 = 1

// joinKeptWith is joinKept with these features.
func joinKeptWith(t testing.TB, socket, name string, d *driver, features uint64) *executor {
	t.Helper()
	e := &executor{name: name, dir: filepath.Join(t.TempDir(), "blockmgr")}
	if err := os.Mkdir(e.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	hello := bridgetest.Hello("app", name, e.dir)
	hello.Features, hello.DriverAddress = features, d.Addr().String()
	var err error
	if e.Client, err = bridgetest.Dial(socket, hello); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	if e.Welcome.GetFeatures() != features {
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

// Who breaks the rules leaves nothing.
func TestNothingOutlivesAViolation(t *testing.T) {
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
	eventually(t, "one is recorded", func() bool { return len(records(t, a.opts.SocketDir)) == 1 })
	if len(good.kept(t)) != 1 {
		t.Errorf("the other executor's links: %v", good.kept(t))
	}
}

// records are the files about executors whose map outputs are linked.
func records(t testing.TB, socketDir string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(socketDir, keptStore, "*"))
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// A daemon that ends, in good order or killed, leaves what it kept to the next one of its directory: a reader that knows the old one's id
// and port gets the map outputs of an executor that ended before, and of one that ended with it.
func TestNextDaemonServesWhatWasLeft(t *testing.T) {
	for what, end := range map[string]func(*child){
		"killed":  (*child).kill,
		"SIGTERM": func(c *child) { c.end() },
	} {
		t.Run(what, func(t *testing.T) {
			leakcheck.Check(t)
			opts := testOptions(t)
			opts.OutliveMax = 100_500 // enough for the first, and not for both
			c := startChild(t, opts)
			driver := startDriver(t)
			socket := filepath.Join(c.dir, BridgeSocket)
			first, last := joinKept(t, socket, "1", driver), joinKept(t, socket, "2", driver)
			want := first.mapOutput(t, 0, 0, 10, 100_000)
			wantLast := last.mapOutput(t, 0, 1, 1000)
			first.end(t)
			eventually(t, "the session has ended", func() bool { return len(statusOf(t, c.dir).Departed) == 1 })
			end(c)
			last.end(t)
			if len(first.kept(t)) != 1 || len(last.kept(t)) != 1 || len(records(t, opts.SocketDir)) != 2 {
				t.Fatalf("left: %v, %v, recorded in %v", first.kept(t), last.kept(t), records(t, opts.SocketDir))
			}

			port := uint16(first.Welcome.GetPeerPort())
			opts.NetPort = options.PortRange{Low: port, High: port}
			next, other := startDaemon(t, opts), startDaemon(t, testOptions(t))
			if s := next.status(t).Departed; len(s) != 2 || s[0] != (status.Departed{App: "app", Executor: "1", MapOutputs: 1, MapOutputBytes: 100_010}) {
				t.Errorf("departed: %+v", s)
			}
			afar, local := join(t, other.BridgeSocket, "app", "3"), join(t, next.BridgeSocket, "app", "4")
			if got := local.Welcome.GetTakenOver(); len(got) != 2 || got[0] != "1" || got[1] != "2" {
				t.Errorf("executors of the application that were taken over: %v", got)
			}
			for transport, reader := range map[string]*executor{"tcp": afar, "mem": local} {
				got := reader.fetch(t, reader.shuffled(first, 0, 0, 2)) // by the id of the daemon that has ended
				wantBlocks(t, got, want, transport)
				reader.release(t, got)
				got = reader.fetch(t, reader.shuffled(last, 0, 1, 1))
				wantBlocks(t, got, wantLast, transport)
				reader.release(t, got)
			}
			stranger := join(t, next.BridgeSocket, "another", "1")
			if got := stranger.Welcome.GetTakenOver(); len(got) != 0 {
				t.Errorf("another application is told of %v", got)
			}

			driver.kill()
			eventually(t, "the links are removed", func() bool { return len(first.kept(t))+len(last.kept(t)) == 0 })
			eventually(t, "nothing is recorded", func() bool { return len(records(t, opts.SocketDir)) == 0 })
		})
	}
}

// Where the driver ended while no daemon was there, the next one removes the links. Files that it did not write harm nothing.
func TestNextDaemonRemovesWhatNobodyNeeds(t *testing.T) {
	opts := testOptions(t)
	c := startChild(t, opts)
	driver := startDriver(t)
	owner := joinKept(t, filepath.Join(c.dir, BridgeSocket), "1", driver)
	owner.mapOutput(t, 0, 0, 10)
	c.kill()
	driver.kill()
	owner.end(t)

	precious := filepath.Join(t.TempDir(), "precious")
	if err := os.MkdirAll(filepath.Join(precious, "1-0"), 0o700); err != nil {
		t.Fatal(err)
	}
	s := &store{path: filepath.Join(opts.SocketDir, keptStore)}
	strange := []string{}
	for name, content := range map[string]string{
		"torn.json":     `{"App":{"ID":"app"`,
		"else.json":     `{"App":{"ID":"app","Token":[1],"Encrypted":false},"Executor":"9","UID":0,"Driver":"127.0.0.1:1","Dirs":["` + precious + `/1-0"]}`,
		"relative.json": `{"App":{"ID":"app","Token":[1],"Encrypted":false},"Executor":"9","UID":0,"Driver":"127.0.0.1:1","Dirs":["x/` + keptPrefix + strings.Repeat("0", 32) + `/1-0"]}`,
		"empty.json":    `{}`,
	} {
		strange = append(strange, filepath.Join(s.path, name))
		if err := os.WriteFile(filepath.Join(s.path, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	half := filepath.Join(s.path, "half.json"+unwritten)
	if err := os.WriteFile(half, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	startDaemon(t, opts)
	eventually(t, "the links are removed", func() bool { return len(owner.kept(t)) == 0 })
	slices.Sort(strange)
	eventually(t, "what the killed daemon wrote is removed", func() bool { return slices.Equal(records(t, opts.SocketDir), strange) })
	if _, err := os.Stat(filepath.Join(precious, "1-0")); err != nil {
		t.Errorf("a directory that is none for links was removed: %v", err)
	}
}

// After a start of the host, links may name what was never written to the disk. A record that does not say its boot is of another.
func TestNothingSurvivesAStartOfTheHost(t *testing.T) {
	opts := testOptions(t)
	c := startChild(t, opts)
	driver := startDriver(t)
	var owners []*executor
	for i := range uint64(3) {
		owners = append(owners, joinKept(t, filepath.Join(c.dir, BridgeSocket), string(rune('1'+i)), driver))
		owners[i].mapOutput(t, 0, i, 10)
	}
	c.kill()
	for i, path := range records(t, opts.SocketDir) {
		there, err := read(path)
		if err != nil {
			t.Fatal(err)
		}
		boot := []string{there.Boot, "another", ""}[i]
		if err := (&recordFile{path, boot}).Update(there.Left); err != nil {
			t.Fatal(err)
		}
	}
	next := startDaemon(t, opts)
	if s := next.status(t).Departed; len(s) != 1 || len(records(t, opts.SocketDir)) != 1 {
		t.Errorf("departed %+v, recorded in %v; one record is of this boot", s, records(t, opts.SocketDir))
	}
	links := 0
	for _, e := range owners {
		e.end(t)
		links += len(e.kept(t))
	}
	if links != 1 {
		t.Errorf("%d executors have links", links)
	}
}

// The tokens of applications are nobody else's to read.
func TestStoreIsTheDaemonsAlone(t *testing.T) {
	dir := t.TempDir()
	s, err := openStore(filepath.Join(dir, keptStore))
	if err != nil {
		t.Fatal(err)
	}
	kept, err := s.add(shuffle.Left{Executor: "1"})
	if err != nil {
		t.Fatal(err)
	}
	files := records(t, dir)
	if len(files) != 1 {
		t.Fatalf("%v", files)
	}
	if info, err := os.Stat(files[0]); err != nil || info.Mode() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	kept.Forget()
	kept.Forget()
	if left := records(t, dir); len(left) != 0 {
		t.Errorf("%v is left", left)
	}
	if _, err := s.add(shuffle.Left{Executor: strings.Repeat("x", maxRecord)}); err == nil || len(records(t, dir)) != 0 {
		t.Errorf("a record that cannot be read was written: %v", err)
	}

	for what, lay := range map[string]func(path string) error{
		"open to others": func(path string) error { return errors.Join(os.Mkdir(path, 0o700), os.Chmod(path, 0o710)) },
		"a link":         func(path string) error { return os.Symlink(dir, path) },
		"a file":         func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		path := filepath.Join(t.TempDir(), keptStore)
		if err := lay(path); err != nil {
			t.Fatal(err)
		}
		if _, err := openStore(path); err == nil || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
