package shuffle

import (
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"weft/internal/metrics"
	"weft/shuffle/quota"
)

type refusals int

func (r *refusals) Inc() { *r++ }

// Each thing that a registry holds: what one application takes of it leaves another one its share, and all of it comes back.

func TestDirectoriesOfOneApplication(t *testing.T) {
	pool := quota.New(16, 75, nil)
	n := newNode(t, RegistryOptions{Quotas: Quotas{Descriptors: pool}}, nil) // one executor with one directory: 2
	greedy := App{ID: "greedy", Token: [32]byte{9}}
	dir := t.TempDir()
	var joined []*Executor
	var err error
	for i := range 20 {
		var e *Executor
		if e, err = n.join(greedy, string(rune('a'+i)), dir); err != nil {
			break
		}
		joined = append(joined, e)
	}
	if err == nil || !strings.Contains(err.Error(), "weft.app.share") || len(joined) != 5 { // 10 of 75 % of 14
		t.Fatalf("%d executors joined; then %v", len(joined), err)
	}
	// Who only claims to be of the application takes nothing in its name.
	if _, err := n.join(App{ID: "greedy"}, "z", dir); err == nil || !strings.Contains(err.Error(), "another token") {
		t.Errorf("with another token: %v", err)
	}
	if e, err := n.join(n.app, "2", n.dir); err != nil {
		t.Errorf("another application: %v", err)
	} else {
		e.Leave()
	}
	joined[0].Leave()
	if _, err := n.join(greedy, "y", dir); err != nil {
		t.Errorf("after one left: %v", err)
	}
	for _, e := range joined {
		e.Leave()
		e.Leave()
	}
	if got := pool.Used("greedy"); got != 2 {
		t.Errorf("%d are counted for one executor with a directory", got)
	}
}

func TestMapOutputsOfOneApplication(t *testing.T) {
	const some = 10 * (mapOutputOverhead + 100)
	pool := quota.New(some, 75, nil)
	n := newNode(t, RegistryOptions{Quotas: Quotas{MapOutputs: pool}}, nil)
	other := App{ID: "other", Token: [32]byte{9}}
	dir := t.TempDir()
	e, err := n.join(other, "1", dir)
	must(t, err)

	o := n.commit(1, 0, []byte("bytes"))
	registered := 1
	for ; registered < 20; registered++ {
		o.Map++
		if err = n.executor.RegisterMapOutput(o); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "weft.app.share") || registered < 3 {
		t.Fatalf("%d were registered; then %v", registered, err)
	}
	must(t, os.WriteFile(dir+"/d", []byte("x"), 0o600))
	if err := e.RegisterMapOutput(MapOutput{Data: dir + "/d", Index: dir + "/i", Partitions: 1}); err != nil {
		t.Errorf("another application: %v", err)
	}
	e.Leave()
	n.executor.UnregisterShuffle(1)
	must(t, n.executor.RegisterMapOutput(o))
	used := pool.Used(n.app.ID)
	must(t, n.executor.RegisterMapOutput(o)) // in place of the former
	if got := pool.Used(n.app.ID); got != used || got == 0 {
		t.Errorf("%d bytes, %d before one was registered again", got, used)
	}
	n.executor.UnregisterShuffle(1)
	if got := pool.Usage(); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

func TestFilesOfOneApplication(t *testing.T) {
	var refused refusals
	pool := quota.New(8, 75, &refused)
	n := newNode(t, RegistryOptions{FilesMax: 8, Quotas: Quotas{Files: pool}}, nil)
	locate := func(mapID uint64) Found {
		t.Helper()
		found, err := n.Locate(t.Context(), &LocateRequest{App: n.app, Executor: "1", Blocks: []BlockID{{Shuffle: 1, Map: mapID, ReduceEnd: 1}}})
		must(t, err)
		return found[0]
	}
	var held []Found
	for i := range uint64(8) {
		n.commit(1, i, []byte("bytes"))
		f := locate(i)
		if i < 6 && f.Err != nil || i >= 6 && (f.Err == nil || f.Err.Reason != ReasonNoSpace) {
			t.Errorf("file %d of at most 6 in use: %v", i, f.Err)
		}
		if f.Err == nil {
			held = append(held, f)
		}
	}
	if refused != 2 {
		t.Errorf("%d refusals were counted of two", refused)
	}
	if pool.Take("another", 2) {
		t.Error("more than 75 % of the two that are left")
	}
	if !pool.Take("another", 1) {
		t.Error("nothing is left for another application")
	}
	pool.Give("another", 1)
	// What is idle makes way.
	held[0].Close()
	if f := locate(7); f.Err != nil {
		t.Errorf("with an idle file: %v", f.Err)
	} else {
		f.Close()
	}
	if refused != 3 { // the other one's
		t.Errorf("%d refusals were counted after an idle file made way", refused)
	}
	for _, f := range held[1:] {
		f.Close()
	}
	n.executor.Leave()
	if got := pool.Usage(); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
}

// With as many files idle as may be open at all, the next one takes the place of one of them.
func TestIdleFilesMakeWay(t *testing.T) {
	c := newFileCache(2, nil, metrics.NewSet().OpenFiles, nil)
	c.hard = 2
	for i := range 5 {
		if err := c.reserve("app"); err != nil {
			t.Fatalf("file %d: %v", i, err)
		}
		fd, err := unix.Open(os.DevNull, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		must(t, err)
		c.add("app", &mapOutput{}, descriptor(fd), fileName{"/dev", "null"}).unref()
	}
	for key := range c.files {
		c.forget(key)
	}
}

// Layouts of an application that has many make way for its own, not for another one's.
func TestLayoutsOfOneApplication(t *testing.T) {
	one := func() *layout { return &layout{index: newIndex(100, 1)} }
	c := newLayoutCache(10 * one().bytes())
	var modest []*mapOutput
	for range 3 {
		modest = append(modest, &mapOutput{})
		c.add("modest", modest[len(modest)-1], one())
	}
	for range 100 {
		c.add("greedy", &mapOutput{}, one())
	}
	for i, key := range modest {
		if c.get(key, fileID{}) == nil {
			t.Errorf("layout %d of the modest one is gone", i)
		}
	}
	if c.bytes > c.max || len(c.of) != 10 {
		t.Errorf("%d layouts of %d bytes, at most %d", len(c.of), c.bytes, c.max)
	}
}

// Where an application has too many directories open, its executors that have ended make way for those that live.
func TestExecutorsThatHaveEndedMakeWay(t *testing.T) {
	var refused refusals
	pool := quota.New(14, 100, &refused)
	keeping := &Keeping{
		Name: "weft-kept-test", Record: func(Left) (Record, error) { return noRecord{}, nil },
		Watch: func(string, func(error)) func() { return func() {} }, Departed: func(int) {},
	}
	n := newNode(t, RegistryOptions{Keeping: keeping, Quotas: Quotas{Descriptors: pool}}, nil) // 2
	must(t, n.executor.Keep("driver:1"))                                                       // and 3
	n.commit(1, 1, []byte("bytes"))
	n.executor.Depart(func() {})
	e, err := n.join(n.app, "2", t.TempDir()) // 7
	must(t, err)
	must(t, e.Keep("driver:1")) // 10
	if got := len(n.registry.Status()); got != 2 {
		t.Fatalf("%d executors", got)
	}
	if _, err := n.join(n.app, "3", t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()); err != nil { // 15
		t.Errorf("an executor that lives: %v", err)
	}
	if got := n.registry.Status(); len(got) != 2 || got[0].Executor == "1" {
		t.Errorf("%+v", got)
	}
	if refused != 0 {
		t.Errorf("%d refusals were counted where room was made", refused)
	}
	if _, err := n.join(n.app, "4", t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()); err == nil || refused != 1 {
		t.Errorf("one too many: %v, %d refusals were counted", err, refused)
	}
}

type noRecord struct{}

func (noRecord) Update(Left) error { return nil }
func (noRecord) Forget()           {}
