package shuffle

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"weft/internal/metrics"
)

const keptName = "weft-kept-0123"

// keepingNode is a node whose executor's local directories lie in a directory of the application, as under a cluster manager.
type keepingNode struct {
	*node
	appDir   string
	keeping  *Keeping
	recorded []Left // and not forgotten
	watched  []string
	gone     func(error) // ends the driver
	living   []*Executor // that live when the daemon ends
	stopped  int
	departed int
	log      bytes.Buffer
}

func newKeepingNode(t *testing.T) *keepingNode {
	t.Helper()
	return newBoundedNode(t, 0)
}

// newBoundedNode bounds what is kept of executors that have ended.
func newBoundedNode(t *testing.T, most int64) *keepingNode {
	t.Helper()
	k := &keepingNode{appDir: t.TempDir()}
	m := metrics.NewSet()
	k.node = &node{t: t, metrics: m, app: App{ID: "app-1", Token: [32]byte{1}}}
	k.keeping = &Keeping{
		Name: keptName,
		Record: func(left Left) (Record, error) {
			k.recorded = append(k.recorded, left)
			return &recordIn{k, left.Dirs[0]}, nil
		},
		Watch: func(driver string, gone func(error)) func() {
			k.watched = append(k.watched, driver)
			k.gone = gone
			return func() { k.stopped++ }
		},
		Departed: func(n int) { k.departed = n },
		MaxBytes: most,
	}
	k.registry = NewRegistry(RegistryOptions{Keeping: k.keeping}, m, slog.New(slog.NewTextHandler(io.MultiWriter(&k.log, t.Output()), nil)))
	k.Service = NewService(k.registry)
	t.Cleanup(k.registry.Close)
	k.executor = k.joins("1")
	return k
}

// recordIn is a record in recorded, which its first directory names.
type recordIn struct {
	k   *keepingNode
	dir string
}

func (r *recordIn) is(left Left) bool { return left.Dirs[0] == r.dir }

func (r *recordIn) Update(left Left) error {
	r.k.recorded[slices.IndexFunc(r.k.recorded, r.is)] = left
	return nil
}

func (r *recordIn) Forget() { r.k.recorded = slices.DeleteFunc(r.k.recorded, r.is) }

// joins makes an executor with a local directory of its own, whose map outputs are to be kept.
func (k *keepingNode) joins(name string) *Executor {
	k.t.Helper()
	k.dir = filepath.Join(k.appDir, "blockmgr-"+name)
	must(k.t, os.MkdirAll(k.dir, 0o700))
	e, err := k.join(k.app, name, k.dir)
	must(k.t, err)
	must(k.t, e.Keep("driver:7078"))
	return e
}

// ends ends the executor as Spark does in good order, and tells whether all was released.
func (k *keepingNode) ends(e *Executor) (released *int) {
	k.t.Helper()
	released = new(int)
	must(k.t, os.RemoveAll(k.dir))
	e.Depart(func() { *released++ })
	return released
}

// links are the files below the directory for links; nil when that is gone.
func (k *keepingNode) links() (names []string) {
	_ = filepath.WalkDir(filepath.Join(k.appDir, keptName), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, filepath.Base(path))
		}
		return nil
	})
	return names
}

func (k *keepingNode) wantNothingLeft(released *int, times int) {
	k.t.Helper()
	if there, err := filepath.Glob(filepath.Join(k.appDir, keptName) + "*"); err != nil || len(there) != 0 {
		k.t.Errorf("directories for links are still there: %v with %v, %v", there, k.links(), err)
	}
	if len(k.recorded) != 0 {
		k.t.Errorf("still recorded: %+v", k.recorded)
	}
	if *released != times || k.departed != 0 || testutil.ToFloat64(k.metrics.MapOutputs) != 0 {
		k.t.Errorf("released %d times, %d departed, %v map outputs", *released, k.departed, testutil.ToFloat64(k.metrics.MapOutputs))
	}
	if got := k.reasonFor(k.app, "1", reduces(1, 1, 0, 1)); got != ReasonOwnerGone {
		k.t.Errorf("asked for its blocks: %s", got)
	}
}

func TestMapOutputsOutliveTheirExecutor(t *testing.T) {
	k := newKeepingNode(t)
	want := randomBytes(1, 3000)
	k.commit(1, 1, want[:1000], nil, want[1000:])
	k.commit(1, 2, nil, nil)
	must(t, os.Remove(filepath.Join(k.dir, "0c", "shuffle_1_2_0.data"))) // Spark writes none for no bytes
	k.commit(1, 2, nil, nil)
	if want := (Left{
		App: k.app, Executor: "1", UID: uint32(os.Getuid()), Driver: "driver:7078", Dirs: []string{filepath.Join(k.appDir, keptName, "1-0")},
		Since: k.recorded[0].Since,
	}); want.Since == 0 || len(k.recorded) != 1 || !reflect.DeepEqual(k.recorded[0], want) || len(k.watched) != 1 || k.watched[0] != "driver:7078" {
		t.Errorf("recorded %+v, watched %v", k.recorded, k.watched)
	}
	released := k.ends(k.executor)
	if *released != 0 || k.departed != 1 {
		t.Errorf("released %d times, %d departed", *released, k.departed)
	}
	found := k.locateBlocks(reduces(1, 1, 0, 1), reduces(1, 1, 1, 3), reduces(1, 2, 0, 2), reduces(1, 3, 0, 1), BlockID{Name: "rdd_1_1"})
	k.expect(found[0], want[:1000])
	k.expect(found[1], want[1000:])
	k.expect(found[2], nil)
	k.expectReason(found[3], ReasonNotFound)
	k.expectReason(found[4], ReasonNotFound)
	if got := k.reasonFor(App{ID: k.app.ID}, "1", reduces(1, 1, 0, 1)); got != ReasonPeerRefused {
		t.Errorf("without the token: %s", got)
	}

	k.gone(errors.New("it has ended"))
	k.wantNothingLeft(released, 1)
	if k.stopped != 0 || !strings.Contains(k.log.String(), "it has ended") {
		t.Errorf("stopped %d times; log:\n%s", k.stopped, k.log.String())
	}
}

func TestNothingIsKeptWithoutADriver(t *testing.T) {
	k := newKeepingNode(t)
	k.commit(1, 1, []byte("x"))
	k.gone(errors.New("nobody listens"))
	released := k.ends(k.executor)
	k.wantNothingLeft(released, 1)
}

func TestNothingIsKeptOfWhoLeftNothing(t *testing.T) {
	k := newKeepingNode(t)
	released := k.ends(k.executor)
	k.wantNothingLeft(released, 1)
	if k.stopped != 1 {
		t.Errorf("the driver is watched for nobody, stopped %d times", k.stopped)
	}
}

// Any executor of the application tells that a shuffle is needed no more.
func TestAShuffleEndsForDepartedExecutorsToo(t *testing.T) {
	k := newKeepingNode(t)
	k.commit(1, 1, []byte("one"))
	k.commit(2, 1, []byte("two"))
	released := k.ends(k.executor)
	living := k.joins("2")
	living.UnregisterShuffle(1)
	if got := k.links(); len(got) != 2 || k.departed != 1 {
		t.Errorf("links %v, %d departed; those of shuffle 2 should be left", got, k.departed)
	}
	if got := k.reasonFor(k.app, "1", reduces(1, 1, 0, 1)); got != ReasonNotFound {
		t.Errorf("a block of the shuffle that has ended: %s", got)
	}
	living.UnregisterShuffle(2)
	if *released != 1 || k.departed != 0 || len(k.links()) != 0 {
		t.Errorf("released %d times, %d departed, links %v", *released, k.departed, k.links())
	}
	living.Leave()
	k.wantNothingLeft(released, 1)
}

// An executor that lost its session and comes back takes the place of what it left.
func TestAnExecutorThatComesBackReplacesWhatItLeft(t *testing.T) {
	k := newKeepingNode(t)
	k.commit(1, 1, []byte("before"))
	released := new(int)
	k.executor.Depart(func() { *released++ })
	k.executor = k.joins("1")
	if *released != 1 || k.departed != 0 {
		t.Errorf("released %d times, %d departed", *released, k.departed)
	}
	k.commit(1, 1, []byte("after"))
	k.expect(k.locateBlocks(reduces(1, 1, 0, 1))[0], []byte("after"))
	if got := k.links(); len(got) != 2 {
		t.Errorf("links %v", got)
	}
}

// Where no link can be made the blocks are served as long as the executor lives, which is said once.
func TestWhatCannotBeLinkedEndsWithTheExecutor(t *testing.T) {
	k := newKeepingNode(t)
	must(t, os.RemoveAll(filepath.Join(k.appDir, keptName)))
	k.commit(1, 1, []byte("one"))
	k.commit(1, 2, []byte("two"))
	k.expect(k.locateBlocks(reduces(1, 1, 0, 1))[0], []byte("one"))
	if n := strings.Count(k.log.String(), "will end with it"); n != 1 {
		t.Errorf("said %d times:\n%s", n, k.log.String())
	}
	k.wantNothingLeft(k.ends(k.executor), 1)
}

// Above the bound, who ended first is given up; and who is above it alone.
func TestWhatIsKeptIsBounded(t *testing.T) {
	k := newBoundedNode(t, 1000)
	end := func(name string, bytes int) *int {
		if name != "1" {
			k.executor = k.joins(name)
		}
		k.commit(1, 1, make([]byte, bytes))
		return k.ends(k.executor)
	}
	first, second := end("1", 400), end("2", 600)
	if *first != 0 || *second != 0 || k.departed != 2 {
		t.Errorf("released %d and %d times, %d departed; the bound is not passed", *first, *second, k.departed)
	}
	third := end("3", 100)
	if *first != 1 || *second != 0 || *third != 0 || k.departed != 2 || !strings.Contains(k.log.String(), "given up") {
		t.Errorf("released %d, %d and %d times, %d departed", *first, *second, *third, k.departed)
	}
	if got := k.reasonFor(k.app, "2", reduces(1, 1, 0, 1)); got != ReasonNone {
		t.Errorf("who ended later: %s", got)
	}
	if fourth := end("4", 1001); *second != 1 || *third != 1 || *fourth != 1 || k.departed != 0 {
		t.Errorf("released %d, %d and %d times, %d departed", *second, *third, *fourth, k.departed)
	}
}

// A driver can end with the daemon: what its end gives back is given back when Close returns.
func TestCloseWaitsForWhatADriversEndGivesBack(t *testing.T) {
	k := newKeepingNode(t)
	k.commit(1, 1, []byte("block"))
	begun := make(chan struct{})
	var released atomic.Bool
	k.executor.Depart(func() {
		close(begun)
		time.Sleep(50 * time.Millisecond) // Close comes meanwhile
		released.Store(true)
	})
	go k.gone(errors.New("it ended"))
	<-begun
	k.registry.Close()
	if !released.Load() {
		t.Error("Close did not wait")
	}
}

func TestKeepRefuses(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	if err := n.executor.Keep("driver:1"); !errors.Is(err, errNotKept) {
		t.Errorf("without Keeping: %v", err)
	}
	k := newKeepingNode(t)
	if err := k.executor.Keep(""); err == nil {
		t.Error("something was promised as long as nobody lives")
	}
	for what, lay := range map[string]func(path string) error{
		"a link": func(path string) error { return os.Symlink(t.TempDir(), path) },
		"a file": func(path string) error { return os.WriteFile(path, nil, 0o600) },
	} {
		app := t.TempDir()
		dir := filepath.Join(app, "blockmgr")
		must(t, os.Mkdir(dir, 0o700))
		must(t, lay(filepath.Join(app, keptName)))
		e, err := k.join(k.app, what, dir)
		must(t, err)
		if err := e.Keep("driver:1"); err == nil || !strings.Contains(err.Error(), "not a directory") {
			t.Errorf("%s in the place of the directory: %v", what, err)
		}
	}
	left, err := k.join(k.app, "left", t.TempDir())
	must(t, err)
	left.Leave()
	if err := left.Keep("driver:1"); err == nil {
		t.Error("an executor that has left was promised something")
	}
}
