package shuffle

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"weft/internal/sockio"
)

// askNow asks for blocks of which the reader takes so many bytes each and all together; nil: that is for Locate.
func (n *node) askNow(eagerBlock, eagerBytes int, ids ...BlockID) (found []Found) {
	n.t.Helper()
	req := &LocateRequest{App: n.app, Executor: "1", Blocks: ids, EagerBlock: eagerBlock, EagerBytes: eagerBytes}
	begun := n.Ask(n.t.Context(), req, func(f []Found) { found = f })
	if begun != (found != nil) {
		n.t.Fatalf("Ask says %v, and answers %v", begun, found)
	}
	return found
}

// allInMemory has every file's bytes lie in memory, whatever the file system of this test can tell of that.
func (n *node) allInMemory() { n.registry.outputs.readCached = unix.Pread }

// Neighbours in one map output whose bytes are in memory are answered at once, together.
func TestReadNow(t *testing.T) {
	n := newNode(t, RegistryOptions{}, &stubOwner{})
	parts := [][]byte{[]byte("abc"), []byte("defg"), []byte("hi"), nil, []byte("j")}
	n.allInMemory()
	o := n.commit(1, 1, parts...)
	n.commit(1, 2, parts...)
	one := reduces(1, 1, 0, 1)
	if n.askNow(100, 100, one) != nil {
		t.Error("a map output that was never opened was answered at once")
	}
	for _, f := range n.locateBlocks(reduces(1, 1, 0, 1), reduces(1, 1, 1, 5), reduces(1, 2, 0, 1)) {
		f.Close()
	}
	for name, ids := range map[string][]BlockID{
		"one": {one}, "without known checksum": {reduces(1, 1, 4, 5)}, "a range": {reduces(1, 1, 0, 5)}, "neighbours": {one, reduces(1, 1, 1, 2), reduces(1, 1, 2, 5)},
	} {
		got := n.askNow(100, 100, ids...)
		if len(got) != len(ids) {
			t.Fatalf("%s: %d answers", name, len(got))
		}
		for i, f := range got {
			if !f.Checked {
				t.Errorf("%s: %v has no checksum", name, ids[i])
			}
			n.expect(f, bytes.Join(parts[ids[i].ReduceStart:ids[i].ReduceEnd], nil))
		}
	}
	for name, ids := range map[string][]BlockID{
		"no neighbours":       {one, reduces(1, 1, 2, 3)},
		"in another order":    {reduces(1, 1, 1, 2), one},
		"of two map outputs":  {one, reduces(1, 2, 0, 1)},
		"an empty one":        {reduces(1, 1, 3, 4)},
		"one that it has not": {reduces(1, 1, 4, 6)},
		"never registered":    {reduces(1, 3, 0, 1)},
	} {
		if n.askNow(100, 100, ids...) != nil {
			t.Errorf("answered at once: %s", name)
		}
	}
	if n.askNow(2, 100, one) != nil || n.askNow(100, 6, one, reduces(1, 1, 1, 2)) != nil {
		t.Error("more than the reader takes was answered at once")
	}
	n.commit(1, 4, bytes.SplitAfter(bytes.Repeat([]byte("."), quickPartitions+1), []byte("."))[:quickPartitions+1]...)
	n.expect(n.locateBlocks(reduces(1, 4, 0, quickPartitions+1))[0], bytes.Repeat([]byte("."), quickPartitions+1))
	n.expect(n.askNow(1000, 1000, reduces(1, 4, 0, quickPartitions))[0], bytes.Repeat([]byte("."), quickPartitions))
	if n.askNow(1000, 1000, reduces(1, 4, 0, quickPartitions+1)) != nil || n.askNow(1000, 1000, reduces(1, 4, 0, quickPartitions), reduces(1, 4, quickPartitions, quickPartitions+1)) != nil {
		t.Error("blocks of many partitions were answered at once")
	}
	files, idle := n.registry.outputs.files, 0
	for f := files.idle.next; f != &files.idle; f = f.next {
		idle++
	}
	if files.open != 3 || idle != 3 {
		t.Errorf("%d files are open, %d of them idle; want 3", files.open, idle)
	}

	must(t, os.Truncate(o.Data, 5))
	if n.askNow(100, 100, one) != nil {
		t.Error("a file that was cut was answered at once")
	}
	must(t, os.Remove(o.Data))
	if n.askNow(100, 100, one) != nil {
		t.Error("a file that was removed was answered at once")
	}
}

// What one request was given stays as it is until all of it was given back, whatever is asked meanwhile.
func TestReadNowKeepsWhatIsHeld(t *testing.T) {
	n := newNode(t, RegistryOptions{}, &stubOwner{})
	n.allInMemory()
	n.commit(1, 1, []byte("abc"), []byte("def"), []byte("ghi"))
	first, second, third := reduces(1, 1, 0, 1), reduces(1, 1, 1, 2), reduces(1, 1, 2, 3)
	for _, f := range n.locateBlocks(first, second, third) {
		f.Close()
	}
	held := n.askNow(100, 100, first, second)
	held[1].Close()
	for range 100 {
		meanwhile := n.askNow(100, 100, second, third)
		n.expect(meanwhile[0], []byte("def"))
		n.expect(meanwhile[1], []byte("ghi"))
	}
	n.expect(held[0], []byte("abc"))
}

// What has to come from the disk is for who may wait, and so are some requests after it.
func TestReadNowLeavesColdFiles(t *testing.T) {
	for name, miss := range map[string]struct {
		n   int
		err error
	}{"nothing there": {-1, unix.EAGAIN}, "not all there": {2, nil}, "cannot tell": {-1, unix.EOPNOTSUPP}} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, RegistryOptions{}, &stubOwner{})
			n.commit(1, 1, []byte("abc"))
			id, tried := reduces(1, 1, 0, 1), 0
			n.expect(n.locateBlocks(id)[0], []byte("abc"))
			n.registry.outputs.readCached = func(int, []byte, int64) (int, error) {
				tried++
				return miss.n, miss.err
			}
			for range 1 + coldRequests {
				if n.askNow(100, 100, id) != nil {
					t.Fatal("answered without its bytes")
				}
			}
			if tried != 1 {
				t.Errorf("tried %d times", tried)
			}
			n.allInMemory()
			n.expect(n.askNow(100, 100, id)[0], []byte("abc"))
		})
	}
}

// What is answered at once is what the kernel says it has; of a file system that cannot tell, nothing is.
func TestReadNowAsksTheKernel(t *testing.T) {
	n := newNode(t, RegistryOptions{}, &stubOwner{})
	o, id := n.commit(1, 1, []byte("abc")), reduces(1, 1, 0, 1)
	n.expect(n.locateBlocks(id)[0], []byte("abc"))
	file, err := os.Open(o.Data)
	must(t, err)
	defer file.Close()
	got, err := sockio.ReadCached(int(file.Fd()), make([]byte, 3), 0)
	t.Logf("the kernel gives %d bytes: %v", got, err)
	found := n.askNow(100, 100, id)
	if (found != nil) != (got == 3) {
		t.Fatalf("answered: %v", found)
	}
	if found != nil {
		n.expect(found[0], []byte("abc"))
	}
}
