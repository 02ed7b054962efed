package shuffle

import (
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"weft/internal/metrics"
	"weft/shuffle/quota"
)

// restart ends the node's daemon and starts another one, with other ids, that takes over what was recorded. It gives how often what it took
// over was released.
func (k *keepingNode) restart() (released *int) {
	k.t.Helper()
	k.registry.Ending()
	for _, e := range k.living {
		e.Depart(func() {}) // as the bridge does when the daemon ends
	}
	k.living = nil
	k.registry.Close()
	return k.starts()
}

// starts starts another daemon after the one before has ended.
func (k *keepingNode) starts() (released *int) {
	k.t.Helper()
	left := slices.Clone(k.recorded)
	k.departed, k.watched = 0, nil
	k.keeping.Name = keptName + "-next"
	m := metrics.NewSet()
	k.metrics = m
	k.registry = NewRegistry(RegistryOptions{Keeping: k.keeping}, m, slog.New(slog.NewTextHandler(io.MultiWriter(&k.log, k.t.Output()), nil)))
	k.Service = NewService(k.registry)
	k.t.Cleanup(k.registry.Close)
	released = new(int)
	for _, l := range left {
		if err := k.registry.TakeOver(l, &recordIn{k, l.Dirs[0]}, func() { *released++ }); err != nil {
			k.t.Log(err)
		}
	}
	k.registry.TookOver()
	return released
}

// What executors left, and what those that live had registered, is served by the next daemon of the node.
func TestAnotherDaemonTakesOver(t *testing.T) {
	k := newKeepingNode(t)
	want := randomBytes(1, 3000)
	k.commit(1, 1, want[:1000], nil, want[1000:])
	k.commit(1, 2, nil, nil)
	must(t, os.Remove(filepath.Join(k.dir, "0c", "shuffle_1_2_0.data")))
	k.commit(1, 2, nil, nil)
	ended := k.ends(k.executor)
	living := k.joins("2")
	k.executor = living
	k.commit(1, 7, []byte("of who lives"))
	if n := testutil.ToFloat64(k.metrics.MapOutputs); n != 3 {
		t.Errorf("%v map outputs", n)
	}
	k.living = []*Executor{living}
	released := k.restart()
	if *ended != 1 || *released != 0 || k.departed != 2 || len(k.recorded) != 2 || len(k.watched) != 1 || k.watched[0] != "driver:7078" {
		t.Errorf("released %d and %d times, %d departed, recorded %+v, watched %v", *ended, *released, k.departed, k.recorded, k.watched)
	}
	if n := testutil.ToFloat64(k.metrics.MapOutputs); n != 3 {
		t.Errorf("%v map outputs were found", n)
	}
	if got := k.registry.TakenOver(k.app.ID); !slices.Equal(got, []string{"1", "2"}) {
		t.Errorf("taken over: %v", got)
	}
	found := k.locateBlocks(reduces(1, 1, 0, 1), reduces(1, 1, 1, 3), reduces(1, 2, 0, 2), reduces(1, 3, 0, 1), BlockID{Name: "rdd_1_1"})
	k.expect(found[0], want[:1000])
	k.expect(found[1], want[1000:])
	k.expect(found[2], nil)
	k.expectReason(found[3], ReasonNotFound)
	k.expectReason(found[4], ReasonNotFound)
	ofWhoLives, err := k.Locate(t.Context(), &LocateRequest{App: k.app, Executor: "2", Blocks: []BlockID{reduces(1, 7, 0, 1)}})
	must(t, err)
	k.expect(ofWhoLives[0], []byte("of who lives"))
	for what, app := range map[string]App{"without the token": {ID: k.app.ID}, "with another": {ID: k.app.ID, Token: [32]byte{9}}} {
		if got := k.reasonFor(app, "1", reduces(1, 1, 0, 1)); got != ReasonPeerRefused {
			t.Errorf("%s: %s", what, got)
		}
	}
	if _, err := k.join(App{ID: k.app.ID, Token: [32]byte{9}}, "3", k.dir); err == nil || !strings.Contains(err.Error(), "another token") {
		t.Errorf("an executor with another token joined: %v", err)
	}

	k.executor = k.joins("2")
	if got := k.registry.TakenOver(k.app.ID); k.departed != 1 || !slices.Equal(got, []string{"1"}) {
		t.Errorf("%d departed, taken over %v; one has joined again", k.departed, got)
	}
	k.executor.Leave()
	k.gone(errors.New("it has ended"))
	k.wantNothingLeft(released, 2)
}

// And so does the one after that.
func TestATakenOverExecutorIsTakenOverAgain(t *testing.T) {
	k := newKeepingNode(t)
	k.commit(1, 1, []byte("x"))
	k.ends(k.executor)
	k.restart()
	released := k.restart()
	k.expect(k.locateBlocks(reduces(1, 1, 0, 1))[0], []byte("x"))
	k.executor = k.joins("2")
	k.executor.UnregisterShuffle(1)
	if *released != 1 || k.departed != 0 || len(k.links()) != 0 {
		t.Errorf("released %d times, %d departed, links %v; the shuffle has ended", *released, k.departed, k.links())
	}
}

// What has to be encrypted has to be at the next daemon, too, and at the one after that.
func TestWhatIsTakenOverStaysEncrypted(t *testing.T) {
	k := newKeepingNode(t)
	k.executor.Leave()
	k.app = App{ID: "secret", Token: [32]byte{1}, Encrypted: true}
	plain := k.app
	plain.Encrypted = false
	k.executor = k.joins("1")
	k.commit(1, 1, []byte("x"))
	k.ends(k.executor)
	for range 2 {
		k.restart()
		if app, err := k.App(k.app.ID); err != nil || app != k.app || !app.Encrypted {
			t.Errorf("%v, encrypted: %v (%v)", app, app.Encrypted, err)
		}
		k.expect(k.locateBlocks(reduces(1, 1, 0, 1))[0], []byte("x"))
		if got := k.reasonFor(plain, "1", reduces(1, 1, 0, 1)); got != ReasonEncrypted {
			t.Errorf("asked for without encryption: %s", got)
		}
		if _, err := k.join(plain, "2", k.appDir); err == nil || !strings.Contains(err.Error(), "have to be encrypted") {
			t.Errorf("an executor without encryption joined: %v", err)
		}
	}
}

// Only what is a link's name, and a file of the user's, is taken for a map output; and a data file without an index is none.
func TestWhatIsFoundIsChecked(t *testing.T) {
	k := newKeepingNode(t)
	k.commit(1, 1, []byte("x"))
	k.ends(k.executor)
	links := k.recorded[0].Dirs[0]
	for _, name := range []string{"1_01.index", "1_2.data", "2_1", "_1.index", "1_.index", "4294967296_1.index", "1_9223372036854775808.index", "..index"} {
		must(t, os.WriteFile(filepath.Join(links, name), make([]byte, 16), 0o600))
	}
	must(t, os.WriteFile(filepath.Join(links, "1_3.index"), make([]byte, 8), 0o600)) // no partition
	must(t, os.Symlink("/etc/passwd", filepath.Join(links, "1_4.index")))
	must(t, os.Mkdir(filepath.Join(links, "1_5.index"), 0o700))
	k.restart()
	if n := testutil.ToFloat64(k.metrics.MapOutputs); n != 1 || !strings.Contains(k.log.String(), "not found") {
		t.Errorf("%v map outputs were found", n)
	}
	k.expect(k.locateBlocks(reduces(1, 1, 0, 1))[0], []byte("x"))
	for id := range uint64(6) {
		if id != 1 {
			k.expectReason(k.locateBlocks(reduces(1, id, 0, 1))[0], ReasonNotFound)
		}
	}
}

// Whatever a user puts among its links, no more is looked at than map outputs may be registered, and one line tells of it.
func TestWhatIsFoundIsBounded(t *testing.T) {
	k := newKeepingNode(t)
	links := k.recorded[0].Dirs[0]
	for i := range 20 {
		must(t, os.WriteFile(filepath.Join(links, mapID{1, uint64(i)}.link(indexLink)), make([]byte, 16), 0o600))
	}
	share := quota.New(5*(mapOutputOverhead+100), 100, nil)
	for what, c := range map[string]struct {
		most, found int
		says        string
		pool        *quota.Pool
	}{
		"all":            {20, 20, "", nil},
		"too many":       {15, 15, "1 failures, the first: more than 15 map outputs", nil},
		"names":          {8, 8, "2 failures, the first: " + links + ": more links than 8", nil},
		"over the share": {20, 5, "1 failures, the first: " + errShareOfMapOutputs.Error(), share},
	} {
		k.registry.quotas.MapOutputs = c.pool
		e := &Executor{registry: k.registry, app: k.app.ID, kept: k.executor.kept, shuffles: make(map[uint32]map[uint64]*mapOutput)}
		err := e.find(c.most)
		if e.count != c.found || (err == nil) != (c.says == "") || err != nil && !strings.HasPrefix(err.Error(), c.says) {
			t.Errorf("%s: found %d, %v", what, e.count, err)
		}
		e.uncount(e.shuffles[1])
	}
	for i := range 20 {
		must(t, os.WriteFile(filepath.Join(links, mapID{1, uint64(i)}.link(indexLink)), nil, 0o600))
	}
	e := &Executor{registry: k.registry, app: k.app.ID, kept: k.executor.kept, shuffles: make(map[uint32]map[uint64]*mapOutput)}
	k.registry.quotas.MapOutputs = share
	if err := e.find(20); err == nil || !strings.HasPrefix(err.Error(), "20 failures") || strings.Count(err.Error(), links) != 1 {
		t.Errorf("20 files that are none: %v", err)
	}
	if got := share.Usage(); len(got) != 0 {
		t.Errorf("the share has still %v", got)
	}
	k.registry.quotas.MapOutputs = nil
}

// What is not there any more, or is somebody else's, is neither served nor removed.
func TestWhatCannotBeTakenOver(t *testing.T) {
	for what, change := range map[string]func(k *keepingNode, base string){
		"removed":         func(_ *keepingNode, base string) { must(t, os.RemoveAll(base)) },
		"its application": func(k *keepingNode, _ string) { must(t, os.RemoveAll(k.appDir)) },
		"another user's":  func(k *keepingNode, _ string) { k.recorded[0].UID++ },
		"a symbolic link": func(_ *keepingNode, base string) {
			must(t, os.Rename(base, base+".moved"))
			must(t, os.Symlink(base+".moved", base))
		},
		"empty": func(k *keepingNode, _ string) {
			for _, name := range k.links() {
				must(t, os.Remove(filepath.Join(k.recorded[0].Dirs[0], name)))
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			k := newKeepingNode(t)
			k.commit(1, 1, []byte("x"))
			k.ends(k.executor)
			base := filepath.Dir(k.recorded[0].Dirs[0])
			change(k, base)
			released := k.restart()
			if *released != 1 || k.departed != 0 || len(k.recorded) != 0 || len(k.registry.Status()) != 0 {
				t.Errorf("released %d times, %d departed, recorded %+v, %+v", *released, k.departed, k.recorded, k.registry.Status())
			}
			moved, _ := filepath.Glob(base + ".moved/*/*")
			if what == "a symbolic link" && len(moved) != 2 {
				t.Errorf("a symbolic link was followed: %v is left", moved)
			}
		})
	}
}

// What cannot be opened for a reason that may pass stays for the next daemon, with the record; directories that can be opened are served.
func TestWhatCannotBeOpenedStays(t *testing.T) {
	k := newKeepingNode(t)
	k.executor.Leave()
	other := t.TempDir() // another disk
	dirs := []string{filepath.Join(k.appDir, "blockmgr"), filepath.Join(other, "blockmgr")}
	for _, dir := range dirs {
		must(t, os.Mkdir(dir, 0o700))
	}
	var err error
	k.executor, err = k.join(k.app, "1", dirs...)
	must(t, err)
	must(t, k.executor.Keep("driver:7078"))
	for i, dir := range dirs {
		k.dir = dir
		k.commit(1, uint64(i), []byte("x"))
	}
	k.ends(k.executor)
	k.registry.Close()

	breaks := func(dir string) (mend func()) {
		must(t, os.Rename(dir, dir+".away"))
		must(t, os.Symlink(dir, dir))
		return func() { must(t, errors.Join(os.Remove(dir), os.Rename(dir+".away", dir))) }
	}
	expect := func(first, second Reason) {
		t.Helper()
		for i, want := range []Reason{first, second} {
			if got := k.reasonFor(k.app, "1", reduces(1, uint64(i), 0, 1)); got != want {
				t.Errorf("map output %d: %s, want %s", i, got, want)
			}
		}
		if len(k.recorded) != 1 {
			t.Errorf("recorded: %+v", k.recorded)
		}
	}
	mend := breaks(other)
	if released := k.starts(); *released != 0 || !strings.Contains(k.log.String(), other) {
		t.Errorf("released %d times; which directory is it?\n%s", *released, k.log.String())
	}
	expect(ReasonNone, ReasonNotFound)
	k.registry.Close()

	mendFirst := breaks(k.appDir)
	if released := k.starts(); *released != 1 {
		t.Errorf("nothing can be opened, and it was released %d times", *released)
	}
	expect(ReasonOwnerGone, ReasonOwnerGone)
	k.registry.Close()

	mend()
	mendFirst()
	k.starts()
	expect(ReasonNone, ReasonNone)
	k.registry.Close()

	breaks(other)
	released := k.starts()
	k.gone(errors.New("it has ended"))
	if *released != 1 || len(k.links()) != 0 || len(k.recorded) != 1 {
		t.Errorf("released %d times, links %v, recorded %+v; the other disk has some still", *released, k.links(), k.recorded)
	}
}

// A daemon that was killed when an executor had just come back leaves two records of it.
func TestTheNewerRecordCounts(t *testing.T) {
	for _, reverse := range []bool{false, true} {
		k := newKeepingNode(t)
		k.commit(1, 1, []byte("before"))
		k.registry.keeper.leaves = true // nothing is removed any more
		k.executor = k.joins("1")
		k.commit(1, 1, []byte("after"))
		if len(k.recorded) != 2 {
			t.Fatalf("recorded %+v", k.recorded)
		}
		if reverse {
			slices.Reverse(k.recorded)
		}
		k.living = []*Executor{k.executor}
		released := k.restart()
		k.expect(k.locateBlocks(reduces(1, 1, 0, 1))[0], []byte("after"))
		links, _ := filepath.Glob(filepath.Join(k.appDir, keptName, "*"))
		if *released != 1 || k.departed != 1 || len(k.recorded) != 1 || len(links) != 1 {
			t.Errorf("reversed %v: released %d times, %d departed, recorded %+v, directories %v", reverse, *released, k.departed, k.recorded, links)
		}
	}
}

// The bound is that of the daemon which serves it.
func TestWhatIsTakenOverIsBounded(t *testing.T) {
	k := newKeepingNode(t)
	k.commit(1, 1, make([]byte, 400))
	k.ends(k.executor)
	k.keeping.MaxBytes = 399
	if released := k.restart(); *released != 1 || k.departed != 0 || len(k.links()) != 0 {
		t.Errorf("released %d times, %d departed, links %v", *released, k.departed, k.links())
	}
}

// What ended executors left makes no room for what those have that lived when the daemon ended; and who ended first is given up first, whatever
// order the records are found in.
func TestTheEndOfADaemonGivesNothingUp(t *testing.T) {
	k := newBoundedNode(t, 1000)
	k.commit(1, 1, make([]byte, 600))
	k.ends(k.executor)
	k.executor = k.joins("2")
	k.commit(1, 1, make([]byte, 600))
	k.living = []*Executor{k.executor}
	said := strings.Count(k.log.String(), "an executor has ended")
	if released := k.restart(); *released != 0 || k.departed != 2 {
		t.Errorf("released %d times, %d departed", *released, k.departed)
	}
	if n := strings.Count(k.log.String(), "an executor has ended"); said != 1 || n != 1 {
		t.Errorf("one executor has ended; said %d times before and %d times after", said, n)
	}
	for _, name := range []string{"1", "2"} {
		if got := k.reasonFor(k.app, name, reduces(1, 1, 0, 1)); got != ReasonNone {
			t.Errorf("of executor %s: %s", name, got)
		}
	}
	k.executor = k.joins("3") // 2 is not back: now it counts
	k.commit(1, 1, make([]byte, 300))
	k.ends(k.executor)
	if got := k.registry.TakenOver(k.app.ID); k.departed != 2 || !slices.Equal(got, []string{"2"}) {
		t.Errorf("%d departed, taken over %v", k.departed, got)
	}
	slices.Reverse(k.recorded)
	k.keeping.MaxBytes = 300
	k.restart()
	if got := k.registry.TakenOver(k.app.ID); !slices.Equal(got, []string{"2", "3"}) {
		t.Errorf("taken over %v; 3 alone has ended before", got)
	}
}

func TestWhoEndedFirstIsGivenUpFirst(t *testing.T) {
	for _, reverse := range []bool{false, true} {
		k := newKeepingNode(t)
		for _, name := range []string{"1", "2", "3"} {
			if name != "1" {
				k.executor = k.joins(name)
			}
			k.commit(1, 1, make([]byte, 400))
			k.ends(k.executor)
		}
		if reverse {
			slices.Reverse(k.recorded)
		}
		k.keeping.MaxBytes = 800
		k.restart()
		if got := k.registry.TakenOver(k.app.ID); !slices.Equal(got, []string{"2", "3"}) {
			t.Errorf("reversed %v: taken over %v", reverse, got)
		}
	}
}

func TestNothingIsKeptThatCannotBeRecorded(t *testing.T) {
	k := newKeepingNode(t)
	k.keeping.Record = func(Left) (Record, error) { return nil, errors.New("the disk is full") }
	k.registry = NewRegistry(RegistryOptions{Keeping: k.keeping}, k.metrics, slog.New(slog.NewTextHandler(t.Output(), nil)))
	app := t.TempDir()
	dir := filepath.Join(app, "blockmgr")
	must(t, os.Mkdir(dir, 0o700))
	e, err := k.join(k.app, "1", dir)
	must(t, err)
	if err := e.Keep("driver:1"); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Errorf("it was promised: %v", err)
	}
	e.Leave()
	if made, _ := filepath.Glob(filepath.Join(app, keptName) + "*"); len(made) != 0 {
		t.Errorf("made all the same: %v", made)
	}
}
