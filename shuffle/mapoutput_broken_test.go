package shuffle

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strings"
	"testing"
)

// Every case breaks the files of a map output of three partitions in its own way; afterwards, blocks of a whole map output must
// still be served.
func TestBrokenMapOutputs(t *testing.T) {
	parts := [][]byte{randomBytes(1, 1000), nil, randomBytes(2, 500)}
	tests := map[string]struct {
		breakIt func(t *testing.T, o MapOutput)
		// The index is read once and the data file stays open: what was seen whole is served on.
		onlyUnseen bool
	}{
		"data cut":     {breakIt: func(t *testing.T, o MapOutput) { must(t, os.Truncate(o.Data, 1499)) }},
		"data empty":   {breakIt: func(t *testing.T, o MapOutput) { must(t, os.Truncate(o.Data, 0)) }},
		"data removed": {breakIt: func(t *testing.T, o MapOutput) { must(t, os.Remove(o.Data)) }},
		"data became a link": {breakIt: func(t *testing.T, o MapOutput) {
			must(t, errors.Join(os.Rename(o.Data, o.Data+"2"), os.Symlink(o.Data+"2", o.Data)))
		}, onlyUnseen: true},
		"data became a folder": {breakIt: func(t *testing.T, o MapOutput) { must(t, errors.Join(os.Remove(o.Data), os.Mkdir(o.Data, 0o700))) }},
		"both removed":         {breakIt: func(t *testing.T, o MapOutput) { must(t, errors.Join(os.Remove(o.Data), os.Remove(o.Index))) }},
		"index removed":        {breakIt: func(t *testing.T, o MapOutput) { must(t, os.Remove(o.Index)) }, onlyUnseen: true},
		"index cut":            {breakIt: func(t *testing.T, o MapOutput) { must(t, os.Truncate(o.Index, 24)) }, onlyUnseen: true},
		"index longer":         {breakIt: func(t *testing.T, o MapOutput) { must(t, os.Truncate(o.Index, 40)) }, onlyUnseen: true},
		"index of random bytes": {breakIt: func(t *testing.T, o MapOutput) {
			must(t, os.WriteFile(o.Index, randomBytes(9, 32), 0o600))
		}, onlyUnseen: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, RegistryOptions{}, nil)
			n.commit(1, 0, parts...)
			for _, seen := range []bool{false, true} {
				if seen && test.onlyUnseen {
					continue
				}
				o := n.commit(1, 1, parts...)
				if seen {
					n.expect(n.locateBlocks(reduces(1, 1, 0, 3))[0], bytes.Join(parts, nil))
				}
				test.breakIt(t, o)
				for range 2 {
					for _, f := range n.locateBlocks(reduces(1, 1, 0, 1), reduces(1, 1, 2, 3), reduces(1, 1, 0, 3)) {
						n.expectReason(f, ReasonBadMapOutput)
					}
				}
				n.expect(n.locateBlocks(reduces(1, 0, 2, 3))[0], parts[2])
				must(t, os.RemoveAll(o.Data))
				n.commit(1, 1, parts...) // written anew, it is served again
				n.expect(n.locateBlocks(reduces(1, 1, 2, 3))[0], parts[2])
			}
		})
	}
}

// A file that is cut after the checksum was computed but before its bytes are sent.
func TestCutWhileServed(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	o := n.commit(1, 1, randomBytes(1, 10_000))
	found := n.locateBlocks(reduces(1, 1, 0, 1))
	must(t, os.Truncate(o.Data, 5000))
	var failure *BlockError
	if _, err := content(found[0]); !errors.As(err, &failure) || failure.Reason != ReasonBadMapOutput {
		t.Errorf("error: %v", err)
	}
}

// A file that is cut between its fstat and the reading for its checksum.
func TestCutWhileChecksummed(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	o := n.commit(1, 1, randomBytes(1, 100), randomBytes(2, 100))
	m := n.executor.mapOutput(1, 1)
	l, file, err := n.registry.outputs.open(n.executor.dirs, m)
	must(t, err)
	defer file.unref()
	must(t, os.Truncate(o.Data, 150))
	err = l.sums.ensure(context.Background(), l.index, file, []BlockID{reduces(1, 1, 0, 2)})
	if got := fileError(err, ReasonBadMapOutput); got.Reason != ReasonBadMapOutput || !strings.Contains(got.Detail, "ends at byte 150") {
		t.Errorf("error: %v", got)
	}
	// The failure is not remembered: the first partition is whole.
	must(t, l.sums.ensure(context.Background(), l.index, file, []BlockID{reduces(1, 1, 0, 1)}))
	if got := l.sums.of(l.index, 0, 1); got != Checksum(randomBytes(1, 100)) {
		t.Errorf("checksum %08x", got)
	}
}

// A map output that is written again under the same names (spark.shuffle.useOldFetchProtocol) and the same length.
func TestReplacedFiles(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	o := n.commit(1, 1, []byte("old"), []byte("content"))
	old := n.locateBlocks(reduces(1, 1, 1, 2))
	indexBytes, _ := indexFile(7, 3)
	must(t, os.WriteFile(o.Data+".tmp", []byte("contentnew"), 0o600))
	must(t, os.WriteFile(o.Index+".tmp", indexBytes, 0o600))
	must(t, os.Rename(o.Index+".tmp", o.Index))
	must(t, os.Rename(o.Data+".tmp", o.Data))
	n.expect(n.locateBlocks(reduces(1, 1, 1, 2))[0], []byte("new"))
	n.expect(old[0], []byte("content"))
}

// The same, at the worst moment: the old data file is open, the index that is read is the new one, and it would fit.
func TestReplacedBetweenDataAndIndex(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	n.commit(1, 1, []byte("old"), []byte("content"))
	m := n.executor.mapOutput(1, 1)
	outputs := n.registry.outputs
	file, err := outputs.openData(n.executor.dirs, m)
	must(t, err)
	o := n.commit(1, 1) // only to know the paths
	for path, content := range map[string][]byte{o.Data: []byte("contentnew"), o.Index: first(indexFile(7, 3))} {
		must(t, os.WriteFile(path+".tmp", content, 0o600))
		must(t, os.Rename(path+".tmp", path))
	}
	if l, err := outputs.layout(n.executor.dirs, m, file); !errors.Is(err, errReplaced) {
		t.Errorf("layout %+v, %v", l, err)
	}
	file.unref()
	l, file, err := outputs.open(n.executor.dirs, m)
	must(t, err)
	if l.index.offset(1) != 7 {
		t.Errorf("the first partition has %d bytes", l.index.offset(1))
	}
	file.unref()
}

func first[T, U any](a T, _ U) T { return a }

func TestBytesOverwrittenInPlaceAreNotVouchedFor(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	o := n.commit(1, 1, []byte("before"))
	n.expect(n.locateBlocks(reduces(1, 1, 0, 1))[0], []byte("before"))
	must(t, os.WriteFile(o.Data, []byte("after!"), 0o600))
	if _, err := content(n.locateBlocks(reduces(1, 1, 0, 1))[0]); err == nil {
		t.Error("the checksum is kept, so the reader must notice that the bytes are others")
	}
}

func TestBrokenMapOutputIsLoggedOnce(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	var log bytes.Buffer
	n.registry.outputs.log = slog.New(slog.NewTextHandler(&log, nil))
	o := n.commit(4, 7, []byte("abc"))
	must(t, os.Remove(o.Data))
	for range 3 {
		n.expectReason(n.locateBlocks(reduces(4, 7, 0, 1))[0], ReasonBadMapOutput)
	}
	if got := log.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "shuffle=4 map=7") || !strings.Contains(got, o.Data) {
		t.Errorf("log: %s", got)
	}
}
