package daemon

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"weft/internal/leakcheck"
	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
	"weft/jvmbridge/bridgetest"
)

// siege is two daemons with an honest application, which fetches from one to the other all the while, and a hostile one.
type siege struct {
	t      *testing.T
	a, b   *running // readers are at a, owners at b
	owner  *executor
	rounds atomic.Int64 // that the honest reader has had

	hostile []func() // end its sessions
	finish  func()
}

// smallCapacity makes limits ones that a test reaches.
func smallCapacity(t *testing.T) {
	before := defaultCapacity
	t.Cleanup(func() { defaultCapacity = before })
	defaultCapacity = capacity{
		sessions: 40, requests: 200 * 65, inline: 1 << 20, mapOutputs: 1 << 20, handles: 1000, locates: 4 << 20, conns: 64, peers: 16,
	}
}

func besiege(t *testing.T) *siege {
	t.Helper()
	leakcheck.Check(t)
	smallCapacity(t)
	s := &siege{t: t, a: startDaemon(t, testOptions(t)), b: startDaemon(t, testOptions(t))}
	s.owner = join(t, s.b.BridgeSocket, "honest", "owner")
	want := s.owner.mapOutput(t, 0, 0, 100, 40<<10, 300<<10, 1<<20, 2<<20)
	inMemory := [][]byte{bytesOf(3000, 7), bytesOf(200<<10, 8)}
	s.owner.Serve(func(name string) bridgetest.Answer {
		switch name {
		case "rdd_1_0":
			return bridgetest.Answer{Inline: inMemory[0]}
		case "rdd_1_1":
			return bridgetest.Answer{Held: inMemory[1]}
		}
		return bridgetest.Answer{}
	})
	want = append(want, inMemory...)
	reader := join(t, s.a.BridgeSocket, "honest", "reader")
	ctx, stop := context.WithCancel(context.Background())
	var loop sync.WaitGroup
	loop.Go(func() {
		for ctx.Err() == nil {
			m := reader.shuffled(s.owner, 0, 0, len(want)-len(inMemory))
			m.Blocks.Name = []string{"rdd_1_0", "rdd_1_1"}
			got, err := reader.FetchAll(context.Background(), m)
			if err != nil {
				t.Errorf("the honest reader: %v", err)
				return
			}
			wantBlocks(t, got, want, "tcp")
			if err := reader.Release(got...); err != nil {
				t.Error(err)
				return
			}
			s.rounds.Add(1)
		}
	})
	s.finish = func() {
		for _, end := range s.hostile {
			end()
		}
		s.goesOn()
		stop()
		loop.Wait()
		reader.Close()
		s.owner.Close()
		wantNothingLeft(t, s.a, s.b)
	}
	s.goesOn()
	return s
}

// goesOn waits until the honest reader has had some rounds more.
func (s *siege) goesOn() {
	s.t.Helper()
	until := s.rounds.Load() + 5
	eventually(s.t, "the honest reader goes on", func() bool { return s.rounds.Load() >= until || s.t.Failed() })
}

// refused waits until the daemon has refused the hostile application some of a resource.
func (s *siege) refused(d *running, resource string) {
	s.t.Helper()
	eventually(s.t, "the hostile application is refused "+resource, func() bool {
		for _, r := range d.status(s.t).Refused {
			if r.Resource == resource {
				return true
			}
		}
		return false
	})
}

// join opens a session of the hostile application.
func (s *siege) join(d *running, name string) *executor {
	s.t.Helper()
	e := join(s.t, d.BridgeSocket, "hostile", name)
	s.hostile = append(s.hostile, e.Close)
	return e
}

func TestHostileSessions(t *testing.T) {
	s := besiege(t)
	defer s.finish()
	for _, d := range []*running{s.a, s.b} {
		dir := t.TempDir()
		for i := range 60 { // one more of the same executors, too
			if c, err := bridgetest.Dial(d.BridgeSocket, bridgetest.Hello("hostile", strconv.Itoa(i/2), dir)); err == nil {
				s.hostile = append(s.hostile, c.Close)
			}
		}
		s.refused(d, "sessions")
	}
	s.goesOn()
}

// Leases that are never given back are kept, and whatever else can be had of the arenas.
func TestHostileMemory(t *testing.T) {
	s := besiege(t)
	defer s.finish()
	owner := s.join(s.b, "owner")
	want := owner.mapOutput(t, 0, 0, 1<<20)
	var kept []bridgetest.Block
	for i := range 8 { // may have 16 MiB each, of 64
		reader := s.join(s.a, strconv.Itoa(i))
		for {
			got := reader.fetch(t, reader.shuffled(owner, 0, 0, 1))
			if got[0].Reason != 0 {
				wantReason(t, got, blockpb.Reason_REASON_NO_SPACE)
				break
			}
			kept = append(kept, got...)
		}
	}
	if len(kept) < 32 || len(kept) > 48 {
		t.Errorf("the hostile application has %d of 64 MiB", len(kept))
	}
	s.goesOn()
	for i, b := range kept { // while it has them they are its own
		wantBlocks(t, []bridgetest.Block{{Bytes: b.Bytes, Transport: "tcp"}}, want, "tcp")
		if t.Failed() {
			t.Fatalf("lease %d", i)
		}
	}
}

// Requests for blocks that their owner never gives, from as many sessions as one likes, and frames that nobody reads.
func TestHostileRequests(t *testing.T) {
	s := besiege(t)
	defer s.finish()
	owner := s.join(s.b, "owner")
	owner.Serve(func(string) bridgetest.Answer { return bridgetest.Answer{Silent: true} })
	for i := range 4 {
		reader := s.join(s.a, strconv.Itoa(i))
		for range 400 {
			if _, err := reader.Fetch(reader.named(owner, "never")); err != nil {
				t.Fatal(err)
			}
		}
		if i == 0 {
			reader.Pause()
			s.hostile = append([]func(){reader.Resume}, s.hostile...)
		}
	}
	s.goesOn()
	own := s.join(s.b, "own") // of the own daemon
	for range 400 {
		if _, err := own.Fetch(own.named(owner, "never")); err != nil {
			t.Fatal(err)
		}
	}
	s.refused(s.b, "requests")
	s.goesOn()
}

func TestHostileMapOutputs(t *testing.T) {
	s := besiege(t)
	defer s.finish()
	e := s.join(s.b, "1")
	for i := range uint64(3000) {
		e.send(t, &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_RegisterMapOutput{RegisterMapOutput: &bridgepb.RegisterMapOutput{
			ShuffleId: 1, MapId: i, DataPath: e.data(1, i), IndexPath: e.data(1, i) + ".index", NumPartitions: 1,
		}}})
	}
	s.refused(s.b, "map_outputs")
	s.goesOn()
	s.owner.mapOutput(t, 5, 5, 10)
	if got := s.owner.fetch(t, s.owner.shuffled(s.owner, 5, 5, 1)); got[0].Reason != 0 {
		t.Errorf("a map output of the honest application: %v", got[0].Detail)
	}
}

// Peers that are not there, peers that are none, and connections that say nothing or anything.
func TestHostileConnections(t *testing.T) {
	s := besiege(t)
	defer s.finish()
	e := s.join(s.a, "1")
	for i := range 40 {
		m := e.named(s.owner, "block")
		m.PeerDaemonId = []byte(fmt.Sprintf("%016d", i))
		m.PeerPort = uint32(s.b.PeerPort)
		if _, err := e.Fetch(m); err != nil {
			t.Fatal(err)
		}
	}
	s.refused(s.a, "peers")
	var dialer net.Dialer
	for _, d := range []*running{s.a, s.b} {
		for i := range 300 {
			network, addr := "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(d.PeerPort)))
			if i%2 == 0 {
				network, addr = "unix", d.BridgeSocket
			}
			c, err := dialer.DialContext(t.Context(), network, addr)
			if err != nil {
				t.Fatal(err)
			}
			s.hostile = append(s.hostile, func() { _ = c.Close() })
			if i%3 == 0 {
				_ = c.SetWriteDeadline(time.Now().Add(patience))
				_, _ = c.Write(bytesOf(5000, uint64(i))) // which it may not take
			}
		}
	}
	s.goesOn()
	s.hostile = append(s.hostile, join(t, s.a.BridgeSocket, "honest", "late").Close) // somebody honest still gets in
}

// Its own files grow shorter, at this moment or that, while they are sent over the connections that the honest application's blocks come by.
func TestHostileFiles(t *testing.T) {
	s := besiege(t)
	defer s.finish()
	owner, reader := s.join(s.b, "owner"), s.join(s.a, "reader")
	for i := range uint64(6) {
		owner.mapOutput(t, 0, i, 12<<20)
		f, err := reader.Fetch(reader.shuffled(owner, 0, i, 1))
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Duration(i) * 5 * time.Millisecond / 2) // nothing is waited for
		if err := os.Truncate(owner.data(0, i), 1<<20); err != nil {
			t.Fatal(err)
		}
		got, err := f.Wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		switch got[0].Reason {
		case 0:
			wantBlocks(t, got, [][]byte{bytesOf(12<<20, i<<16)}, "tcp")
		case blockpb.Reason_REASON_BAD_MAP_OUTPUT, blockpb.Reason_REASON_CHECKSUM:
		default:
			t.Errorf("%v: %s", got[0].Reason, got[0].Detail)
		}
		reader.release(t, got)
	}
}

// It gets at no block and no file of the honest application.
func TestHostileReads(t *testing.T) {
	s := besiege(t)
	defer s.finish()
	reader := s.join(s.a, "reader")
	wantReason(t, reader.fetch(t, reader.shuffled(s.owner, 0, 0, 5)), blockpb.Reason_REASON_OWNER_GONE)
	wantReason(t, reader.fetch(t, reader.named(s.owner, "rdd_1_0")), blockpb.Reason_REASON_OWNER_GONE)
	secret := s.owner.data(0, 0)
	for name, path := range map[string]func(dir string) string{
		"by its path": func(string) string { return secret },
		"by a path with dots": func(dir string) string {
			return dir + "/../" + filepath.Base(s.owner.dir) + "/" + filepath.Base(secret)
		},
		"by a link": func(dir string) string { return symlink(t, secret, filepath.Join(dir, "link")) },
		"by a link to a directory": func(dir string) string {
			return filepath.Join(symlink(t, s.owner.dir, filepath.Join(dir, "below")), filepath.Base(secret))
		},
	} {
		e := s.join(s.b, name)
		p := path(e.dir)
		e.send(t, &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_RegisterMapOutput{RegisterMapOutput: &bridgepb.RegisterMapOutput{
			DataPath: p, IndexPath: e.data(0, 0) + ".index", NumPartitions: 5,
		}}})
		select {
		case <-e.Done():
		case <-time.After(patience):
			t.Errorf("%s: the session goes on", name)
		}
		// And as the place of a block that its executor has.
		f := s.join(s.b, name)
		p = path(f.dir)
		f.Serve(func(string) bridgetest.Answer {
			return bridgetest.Answer{File: &bridgepb.FileRange{Path: p, Length: 100}}
		})
		wantReason(t, reader.fetch(t, reader.named(f, "rdd_1_0")), blockpb.Reason_REASON_INTERNAL)
	}
	if _, err := bridgetest.Dial(s.b.BridgeSocket, bridgetest.Hello("hostile", "9", s.owner.dir)); err == nil {
		t.Error("a session with the honest application's directory")
	}
	s.goesOn()
}

func symlink(t *testing.T, to, path string) string {
	t.Helper()
	if err := os.Symlink(to, path); err != nil {
		t.Fatal(err)
	}
	return path
}
