package shuffle

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

// stubOwner is an executor that has the blocks of a table.
type stubOwner struct {
	blocks map[string]OwnedBlock
	open   func(context.Context, BlockID) (OwnedBlock, error) // instead of the table
	busy   bool                                               // AskBlock would have to wait
	opened atomic.Int64
	closed atomic.Int64
}

func (o *stubOwner) OpenBlock(ctx context.Context, id BlockID) (OwnedBlock, error) {
	open := o.open
	if open == nil {
		open = func(_ context.Context, id BlockID) (OwnedBlock, error) {
			if block, ok := o.blocks[id.String()]; ok {
				return block, nil
			}
			return OwnedBlock{}, Errorf(ReasonNotFound, "there is no %s", id)
		}
	}
	block, err := open(ctx, id)
	if err == nil {
		o.opened.Add(1)
		block.Close = func() { o.closed.Add(1) }
	}
	return block, err
}

func (o *stubOwner) AskBlock(ctx context.Context, id BlockID, done func(OwnedBlock, error)) bool {
	if o.busy {
		return false
	}
	done(o.OpenBlock(ctx, id))
	return true
}

func named(names ...string) (ids []BlockID) {
	for _, name := range names {
		ids = append(ids, BlockID{Name: name})
	}
	return ids
}

func TestBlocksOfTheExecutor(t *testing.T) {
	owner := &stubOwner{}
	n := newNode(t, RegistryOptions{}, owner)
	n.commit(1, 1, []byte("from the file"))
	path := writeFile(t, filepath.Join(n.dir, "0a", "rdd_0_1"), []byte("--a block on disk--"))
	owner.blocks = map[string]OwnedBlock{
		"test_0weight1":  {Mem: []byte("weights")},
		"empty":          {},
		"rdd_0_1":        {Path: path, Offset: 2, Length: 15},
		"rdd_empty":      {Path: path, Offset: 5},
		"shuffle_1_99_0": {Path: path, Offset: 4, Length: 5}, // never registered
	}
	ids := append([]BlockID{reduces(1, 1, 0, 1), reduces(1, 99, 0, 1), reduces(1, 98, 0, 1)},
		named("test_0weight1", "empty", "rdd_0_1", "rdd_empty", "broadcast_1")...)
	found := n.locateBlocks(ids...)
	n.expectReason(found[2], ReasonNotFound)
	n.expectReason(found[7], ReasonNotFound)
	for i, want := range map[int]string{0: "from the file", 1: "block", 3: "weights", 4: "", 5: "a block on disk", 6: ""} {
		if !found[i].Checked {
			t.Errorf("%v has no checksum", ids[i])
		}
		n.expect(found[i], []byte(want))
	}
	if opened, closed := owner.opened.Load(), owner.closed.Load(); opened != 5 || closed != 5 {
		t.Errorf("%d blocks were opened, %d closed", opened, closed)
	}
	if open := n.registry.outputs.files.open; open != 1 {
		t.Errorf("%d files are open; only that of the map output should be", open)
	}

	// BigDL rewrites its blocks in place: each request sees the bytes of its time, with their checksum.
	copy(owner.blocks["test_0weight1"].Mem, "WEIGHTS")
	n.expect(n.locateBlocks(named("test_0weight1")...)[0], []byte("WEIGHTS"))
}

// One block that only its executor has is asked for without a goroutine that waits. Every other request is for Locate.
func TestAsk(t *testing.T) {
	owner := &stubOwner{}
	n := newNode(t, RegistryOptions{}, owner)
	n.commit(1, 1, []byte("from the file"))
	path := writeFile(t, filepath.Join(n.dir, "rdd_0_1"), []byte("--a block on disk--"))
	large := make([]byte, quick+1)
	owner.blocks = map[string]OwnedBlock{
		"test_0weight1": {Mem: []byte("weights")},
		"empty":         {},
		"rdd_0_1":       {Path: path, Offset: 2, Length: 15},
		"large":         {Mem: large},
	}
	request := func(ids ...BlockID) *LocateRequest { return &LocateRequest{App: n.app, Executor: "1", Blocks: ids} }
	for name, want := range map[string]string{"test_0weight1": "weights", "empty": "", "rdd_0_1": "a block on disk", "large": string(large)} {
		got := make(chan Found, 1)
		if !n.Ask(t.Context(), request(named(name)...), func(f []Found) { got <- f[0] }) {
			t.Fatalf("%s was not asked for", name)
		}
		f := <-got
		if !f.Checked {
			t.Errorf("%s has no checksum", name)
		}
		n.expect(f, []byte(want))
	}
	got := make(chan Found, 1)
	if !n.Ask(t.Context(), request(named("nowhere")...), func(f []Found) { got <- f[0] }) {
		t.Fatal("a block that the executor has not was not asked for")
	}
	n.expectReason(<-got, ReasonNotFound)

	stranger := request(named("test_0weight1")...)
	stranger.App.Token[0]++
	never := func([]Found) { t.Error("an answer to a question that was not asked") }
	for name, req := range map[string]*LocateRequest{
		"of a map output": request(reduces(1, 1, 0, 1)),
		"of two blocks":   request(named("test_0weight1", "empty")...),
		"of none":         request(),
		"of a stranger":   stranger,
	} {
		if n.Ask(t.Context(), req, never) {
			t.Errorf("a request %s was begun", name)
		}
	}
	owner.busy = true
	if n.Ask(t.Context(), request(named("test_0weight1")...), never) {
		t.Error("a request to an executor that has enough questions was begun")
	}
	if opened, closed := owner.opened.Load(), owner.closed.Load(); opened != 4 || closed != 4 {
		t.Errorf("%d blocks were opened, %d closed", opened, closed)
	}
}

func TestFilesOfTheExecutorAreNotTrusted(t *testing.T) {
	owner := &stubOwner{}
	n := newNode(t, RegistryOptions{}, owner)
	outside := writeFile(t, filepath.Join(t.TempDir(), "secret"), []byte("secret"))
	path := writeFile(t, filepath.Join(n.dir, "block"), []byte("12345"))
	link := filepath.Join(n.dir, "link")
	must(t, os.Symlink(outside, link))
	const huge = 1<<63 - 1
	for name, test := range map[string]struct {
		block OwnedBlock
		want  Reason
	}{
		"outside":        {OwnedBlock{Path: outside, Length: 6}, ReasonInternal},
		"dots":           {OwnedBlock{Path: n.dir + "/../x/secret", Length: 6}, ReasonInternal},
		"link":           {OwnedBlock{Path: link, Length: 6}, ReasonInternal},
		"absent":         {OwnedBlock{Path: n.dir + "/absent", Length: 6}, ReasonNotFound},
		"short":          {OwnedBlock{Path: path, Length: 6}, ReasonInternal},
		"offset behind":  {OwnedBlock{Path: path, Offset: 6}, ReasonInternal},
		"negative":       {OwnedBlock{Path: path, Offset: -1, Length: 2}, ReasonInternal},
		"negative bytes": {OwnedBlock{Path: path, Length: -2}, ReasonInternal},
		"overflow":       {OwnedBlock{Path: path, Offset: huge, Length: huge}, ReasonInternal},
	} {
		t.Run(name, func(t *testing.T) {
			owner.blocks = map[string]OwnedBlock{"rdd_0_0": test.block, "shuffle_7_7_7": test.block}
			found := n.locateBlocks(append([]BlockID{reduces(7, 7, 7, 8)}, named("rdd_0_0")...)...)
			n.expectReason(found[0], ReasonBadMapOutput)
			n.expectReason(found[1], test.want)
		})
	}
	if opened, closed := owner.opened.Load(), owner.closed.Load(); opened != closed {
		t.Errorf("%d blocks were opened, %d closed", opened, closed)
	}
	if open := n.registry.outputs.files.open; open != 0 {
		t.Errorf("%d files are open", open)
	}
}

func TestErrorsOfTheExecutor(t *testing.T) {
	owner := &stubOwner{}
	n := newNode(t, RegistryOptions{}, owner)
	for want, err := range map[Reason]error{
		ReasonOwnerGone: fmt.Errorf("wrapped: %w", Errorf(ReasonOwnerGone, "the session ended")),
		ReasonInternal:  errors.New("OutOfMemoryError"),
		ReasonTimeout:   context.DeadlineExceeded,
	} {
		owner.open = func(context.Context, BlockID) (OwnedBlock, error) { return OwnedBlock{}, err }
		n.expectReason(n.locateBlocks(named("rdd_0_0")...)[0], want)
	}
}

// The executor is asked for many blocks at a time, but not for all.
func TestUpcallsAreParallelAndBounded(t *testing.T) {
	owner := &stubOwner{}
	n := newNode(t, RegistryOptions{}, owner)
	var mu sync.Mutex
	inside, most := 0, 0
	full := make(chan struct{})
	owner.open = func(_ context.Context, id BlockID) (OwnedBlock, error) {
		mu.Lock()
		inside++
		most = max(most, inside)
		if inside == upcallsPerRequest && most == upcallsPerRequest {
			select {
			case <-full:
			default:
				close(full)
			}
		}
		mu.Unlock()
		<-full // goes on only once as many are asked for as may be
		mu.Lock()
		inside--
		mu.Unlock()
		return OwnedBlock{Mem: []byte(id.Name)}, nil
	}
	var ids []BlockID
	for i := range 10 * upcallsPerRequest {
		ids = append(ids, BlockID{Name: fmt.Sprintf("rdd_%d_0", i)})
	}
	for i, f := range n.locateBlocks(ids...) {
		n.expect(f, []byte(ids[i].Name))
	}
	if most != upcallsPerRequest {
		t.Errorf("%d at a time", most)
	}
}

// A reader that goes away while the executor is slow: everything found until then is given back.
func TestLocateEndsWithItsContext(t *testing.T) {
	owner := &stubOwner{}
	n := newNode(t, RegistryOptions{}, owner)
	n.commit(1, 1, []byte("abc"))
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("the reader is gone")
	owner.open = func(ctx context.Context, id BlockID) (OwnedBlock, error) {
		if id.Name == "fast" {
			return OwnedBlock{Mem: []byte("x")}, nil
		}
		cancel(gone)
		<-ctx.Done()
		return OwnedBlock{}, context.Cause(ctx)
	}
	found, err := n.Locate(ctx, &LocateRequest{
		App: n.app, Executor: "1", Blocks: append([]BlockID{reduces(1, 1, 0, 1)}, named("fast", "slow")...),
	})
	if !errors.Is(err, gone) || found != nil {
		t.Errorf("%d found, error %v", len(found), err)
	}
	if opened, closed := owner.opened.Load(), owner.closed.Load(); opened != closed {
		t.Errorf("%d blocks were opened, %d closed", opened, closed)
	}
	if refs := n.registry.outputs.files.files[n.executor.mapOutput(1, 1)].refs; refs != 0 {
		t.Errorf("%d references to the data file are left", refs)
	}
	if _, err := n.Locate(ctx, &LocateRequest{App: n.app, Executor: "1", Blocks: []BlockID{reduces(1, 1, 0, 1)}}); !errors.Is(err, gone) {
		t.Errorf("error: %v", err)
	}
}

func TestNoFurtherFilesAtTheLimit(t *testing.T) {
	n := newNode(t, RegistryOptions{FilesMax: 1}, &stubOwner{})
	n.registry.outputs.files.hard = 2
	for m := range uint64(3) {
		n.commit(1, m, []byte{byte(m)})
	}
	found := n.locateBlocks(reduces(1, 0, 0, 1), reduces(1, 1, 0, 1), reduces(1, 2, 0, 1))
	n.expectReason(found[2], ReasonNoSpace)
	n.expect(found[0], []byte{0})
	n.expect(n.locateBlocks(reduces(1, 2, 0, 1))[0], []byte{2})
	n.expect(found[1], []byte{1})
	if open := n.registry.outputs.files.open; open != 1 {
		t.Errorf("%d files stay open", open)
	}
}

// A located block of a cached map output costs no allocation of its own.
func TestLocateAllocatesPerRequestNotPerBlock(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	parts := make([][]byte, 500)
	for p := range parts {
		parts[p] = []byte{byte(p)}
	}
	n.commit(1, 1, parts...)
	n.commit(1, 2, parts...)
	var ids []BlockID
	for p := range uint32(500) {
		ids = append(ids, reduces(1, 1, p, p+1), reduces(1, 2, p, p+1))
	}
	req := &LocateRequest{App: n.app, Executor: "1", Blocks: ids}
	allocations := testing.AllocsPerRun(10, func() {
		found, err := n.Locate(t.Context(), req)
		must(t, err)
		closeFound(found)
	})
	if allocations > 20 {
		t.Errorf("%v allocations for %d blocks", allocations, len(ids))
	}
}
