package shuffle

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func (n *node) join(app App, executor string, dirs ...string) (*Executor, error) {
	e, err := n.registry.Join(app, executor, uint32(os.Getuid()), dirs, nil)
	if err == nil {
		n.t.Cleanup(e.Leave)
	}
	return e, err
}

func (n *node) reasonFor(app App, executor string, id BlockID) Reason {
	n.t.Helper()
	found, err := n.Locate(n.t.Context(), &LocateRequest{App: app, Executor: executor, Blocks: []BlockID{id}})
	must(n.t, err)
	if found[0].Err == nil {
		closeFound(found)
		return ReasonNone
	}
	return found[0].Err.Reason
}

func TestJoinRefuses(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	own := t.TempDir()
	refused := func(err error, words string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), words) || strings.Contains(err.Error(), "\n") {
			t.Errorf("error: %v; it should be one line with %q", err, words)
		}
	}
	_, err := n.join(App{ID: "app-1", Token: [32]byte{2}}, "2", own)
	refused(err, "another token")
	encrypted := n.app
	encrypted.Encrypted = true
	_, err = n.join(encrypted, "2", own)
	refused(err, "have to be encrypted")
	encrypted.ID = "encrypted"
	e, err := n.join(encrypted, "1", own)
	must(t, err)
	plain := encrypted
	plain.Encrypted = false
	if r := n.reasonFor(plain, "1", BlockID{Name: "x"}); r != ReasonEncrypted {
		t.Errorf("asked for without encryption: %v", r)
	}
	e.Leave()
	_, err = n.registry.Join(n.app, "2", uint32(os.Getuid())+1, nil, nil)
	refused(err, "as one user")
	_, err = n.join(App{}, "2", own)
	refused(err, "application id")
	_, err = n.join(ProbeApp, "2", own)
	refused(err, "belongs to the daemons")
	_, err = n.join(App{ID: ProbeApp.ID, Token: [32]byte{1}}, "2", own)
	refused(err, "belongs to the daemons")
	_, err = n.join(n.app, "", own)
	refused(err, "executor id")
	_, err = n.join(n.app, "2", "relative")
	refused(err, "not absolute")
	_, err = n.join(n.app, "2", filepath.Join(own, "absent"))
	refused(err, "no such file")
	for name, dir := range map[string]string{"same": n.dir, "below": filepath.Join(n.dir, "sub"), "above": filepath.Dir(n.dir)} {
		must(t, os.MkdirAll(dir, 0o700))
		_, err = n.join(App{ID: "app-2"}, "1", dir)
		refused(err, "overlaps")
		if e, err := n.join(n.app, name, dir); err != nil {
			t.Errorf("executors of one application may share directories: %s: %v", name, err)
		} else {
			e.Leave()
		}
	}
	if len(n.registry.Status()) != 1 {
		t.Errorf("who was refused is not there: %+v", n.registry.Status())
	}
}

func TestApplicationsAreStrangers(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	o := n.commit(1, 1, []byte("secret"))
	strangers := App{ID: "app-2", Token: [32]byte{2}}
	dir := t.TempDir()
	stranger, err := n.join(strangers, "1", dir)
	must(t, err)

	if err := stranger.RegisterMapOutput(o); !errors.Is(err, ErrOutside) {
		t.Errorf("another application's files were registered: %v", err)
	}
	block := reduces(1, 1, 0, 1)
	if got := n.reasonFor(n.app, "1", block); got != ReasonNone {
		t.Errorf("with the application's token: %s", got)
	}
	if got := n.reasonFor(App{ID: "app-1", Token: strangers.Token}, "1", block); got != ReasonPeerRefused {
		t.Errorf("with another application's token: %s", got)
	}
	if got := n.reasonFor(n.app, "2", block); got != ReasonOwnerGone {
		t.Errorf("of an executor that is not here: %s", got)
	}
	if got := n.reasonFor(App{ID: "app-3"}, "1", block); got != ReasonOwnerGone {
		t.Errorf("of an application that is not here: %s", got)
	}

	// A hard link or a symbolic link does not help either: the one is the stranger's own user's file, the other is not followed.
	link := filepath.Join(dir, "link.data")
	must(t, os.Symlink(o.Data, link))
	o.Data, o.Index = link, filepath.Join(dir, "link.index")
	if err := stranger.RegisterMapOutput(o); !errors.Is(err, ErrOutside) {
		t.Errorf("a link to another application's file was registered: %v", err)
	}
}

func TestRegisterRefuses(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	good := n.commit(1, 1, []byte("x"))
	tests := map[string]func(*MapOutput){
		"index outside": func(o *MapOutput) { o.Index = "/etc/passwd" },
		"data outside":  func(o *MapOutput) { o.Data = n.dir + "/../x" },
		"data folder":   func(o *MapOutput) { o.Data = filepath.Dir(o.Data) },
	}
	for name, breakIt := range tests {
		o := good
		breakIt(&o)
		if err := n.executor.RegisterMapOutput(o); !errors.Is(err, ErrOutside) {
			t.Errorf("%s: %v", name, err)
		}
	}
	many := good
	many.Partitions = MaxPartitions + 1
	if err := n.executor.RegisterMapOutput(many); err == nil || errors.Is(err, ErrOutside) {
		t.Errorf("too many partitions are no reason to end the session: %v", err)
	}
	n.expect(n.locateBlocks(reduces(1, 1, 0, 1))[0], []byte("x"))
}

func TestLeave(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	o := n.commit(1, 1, []byte("x"), []byte("y"))
	open := n.locateBlocks(reduces(1, 1, 0, 1), reduces(1, 1, 1, 2))
	n.executor.Leave()
	n.executor.Leave()
	if got := n.reasonFor(n.app, "1", reduces(1, 1, 0, 1)); got != ReasonOwnerGone {
		t.Errorf("after the executor left: %s", got)
	}
	n.expect(open[0], []byte("x"))
	n.expect(open[1], []byte("y"))
	if err := n.executor.RegisterMapOutput(o); err == nil {
		t.Error("who has left registers nothing")
	}
	if status := n.registry.Status(); len(status) != 0 {
		t.Errorf("status: %+v", status)
	}
	if _, err := n.join(App{ID: "app-1", Token: [32]byte{9}}, "1", n.dir); err != nil {
		t.Errorf("the id is free again: %v", err)
	}
}

func TestJoinAgain(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	n.commit(1, 1, []byte("x"))
	first := n.executor
	second, err := n.join(n.app, "1", n.dir)
	must(t, err)
	if status := n.registry.Status(); len(status) != 1 || status[0].MapOutputs != 0 {
		t.Errorf("the new session begins with nothing: %+v", status)
	}
	n.executor = second
	n.commit(1, 1, []byte("y"))
	if err := first.RegisterMapOutput(MapOutput{Data: n.dir + "/a", Index: n.dir + "/b"}); !errors.Is(err, ErrGone) && !errors.Is(err, os.ErrClosed) {
		t.Errorf("the old session registered: %v", err)
	}
	first.Leave()
	n.expect(n.locateBlocks(reduces(1, 1, 0, 1))[0], []byte("y"))
}

func TestStatus(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	n.commit(1, 1, []byte("12345"))
	n.commit(2, 1, []byte("1"), nil, []byte("23"))
	_, err := n.join(App{ID: "app-0"}, "driver")
	must(t, err)
	status := n.registry.Status()
	if len(status) != 2 || status[0].App != "app-0" || status[0].Executor != "driver" {
		t.Fatalf("status: %+v", status)
	}
	one := status[1]
	if one.App != "app-1" || one.Executor != "1" || one.UID != uint32(os.Getuid()) || len(one.Dirs) != 1 || one.Dirs[0] != n.dir ||
		one.Shuffles != 2 || one.MapOutputs != 2 || one.MapOutputBytes != 8 {
		t.Errorf("status: %+v", one)
	}
	n.executor.UnregisterShuffle(1)
	n.executor.UnregisterShuffle(3)
	if one = n.registry.Status()[1]; one.Shuffles != 1 || one.MapOutputs != 1 || one.MapOutputBytes != 3 {
		t.Errorf("after a shuffle ended: %+v", one)
	}
}

// Everything at once; the leak check of the package and the race detector look on.
func TestServingWhileEverythingChanges(t *testing.T) {
	n := newNode(t, RegistryOptions{FilesMax: 2, LayoutBytes: 1000}, &stubOwner{})
	var all sync.WaitGroup
	stop := make(chan struct{})
	for w := range 3 {
		all.Go(func() {
			for i := uint64(0); ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				found, err := n.Locate(t.Context(), &LocateRequest{App: n.app, Executor: "1", Blocks: []BlockID{
					reduces(uint32(w), i%5, 0, 2), reduces(1, i%5, 1, 2), reduces(1, (i+1)%5, 0, 1),
				}})
				if err != nil {
					t.Error(err)
					return
				}
				for _, f := range found {
					var failure *BlockError
					if _, err := content(f); err != nil && !errors.As(err, &failure) {
						t.Error(err)
					}
				}
			}
		})
	}
	for i := range 60 {
		e := n.executor
		for m := range uint64(5) {
			n.commit(uint32(i%3), m, randomBytes(m, 100), randomBytes(m, 3000))
		}
		if i%2 == 0 {
			e.UnregisterShuffle(uint32(i % 3))
		}
		if i%10 == 9 {
			var err error
			n.executor, err = n.registry.Join(n.app, "1", uint32(os.Getuid()), []string{n.dir}, &stubOwner{})
			must(t, err)
			e.Leave()
		}
	}
	close(stop)
	all.Wait()
	n.executor.Leave()
	if c := n.registry.outputs.files; c.open != 0 || len(c.files) != 0 || c.idle.next != &c.idle {
		t.Errorf("files are left open: %d, %d cached", c.open, len(c.files))
	}
	if c := n.registry.outputs.layouts; c.bytes != 0 || len(c.of) != 0 {
		t.Errorf("layouts are left: %d bytes of %d", c.bytes, len(c.of))
	}
}
