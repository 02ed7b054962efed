package shuffle

import (
	"bytes"
	"os"
	"testing"
)

// Of neighbours in a map output those that come with the answer are bytes; those that are too long, or for which there is no room, are where they lie.
func TestEagerBlocksAreBytes(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	parts := [][]byte{randomBytes(1, 100), randomBytes(2, 300), nil, randomBytes(3, 100), randomBytes(4, 100), randomBytes(5, 100)}
	n.commit(1, 1, parts...)
	var ids []BlockID
	for p := range uint32(len(parts)) {
		ids = append(ids, reduces(1, 1, p, p+1))
	}
	found := n.locateEager(200, 250, append(ids, reduces(1, 1, 6, 7))...)
	n.expectReason(found[6], ReasonNotFound)
	for i, isBytes := range []bool{true, false, false, true, false, false} {
		if f := found[i]; (f.Mem != nil) != isBytes || (f.File != nil) != (!isBytes && f.Length > 0) {
			t.Errorf("block %d: %d bytes in memory, file %v", i, len(f.Mem), f.File)
		}
		n.expect(found[i], parts[i])
	}
}

// What was given stays as it is until it was given back, whatever is asked meanwhile; after that nothing holds the file.
func TestEagerBlocksStay(t *testing.T) {
	n := newNode(t, RegistryOptions{FilesMax: 1}, nil)
	n.commit(1, 1, []byte("abc"), []byte("def"))
	n.commit(1, 2, []byte("ghi"))
	held := n.locateEager(100, 100, reduces(1, 1, 0, 1), reduces(1, 1, 1, 2))
	held[1].Close()
	for range 100 {
		n.expect(n.locateEager(100, 100, reduces(1, 2, 0, 1))[0], []byte("ghi"))
	}
	n.expect(held[0], []byte("abc"))
	if open := n.registry.outputs.files.open; open != 1 {
		t.Errorf("%d files are open; nobody holds one, and 1 may be idle", open)
	}
}

// A checksum that was given is the block's from then on, whichever way it goes later.
func TestEagerBlocksAreVouchedForOnce(t *testing.T) {
	for name, ask := range map[string]struct{ first, second int }{"with the answer, twice": {100, 100}, "read later": {100, 0}, "read before": {0, 100}} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, RegistryOptions{}, nil)
			o := n.commit(1, 1, []byte("bef"), []byte("ore"))
			n.expect(n.locateEager(ask.first, 100, reduces(1, 1, 0, 2))[0], []byte("before"))
			must(t, os.WriteFile(o.Data, []byte("after!"), 0o600))
			for _, id := range []BlockID{reduces(1, 1, 0, 2), reduces(1, 1, 0, 1), reduces(1, 1, 1, 2)} {
				if _, err := content(n.locateEager(ask.second, 100, id)[0]); err == nil {
					t.Errorf("%v: the bytes are others", id)
				}
			}
		})
	}
}

// A file that is cut: of its blocks none is served, and nothing is held.
func TestEagerBlocksOfACutFile(t *testing.T) {
	n := newNode(t, RegistryOptions{}, nil)
	o := n.commit(1, 1, randomBytes(1, 100), randomBytes(2, 100))
	n.expect(n.locateEager(200, 200, reduces(1, 1, 0, 2))[0], bytes.Join([][]byte{randomBytes(1, 100), randomBytes(2, 100)}, nil))
	m := n.executor.mapOutput(1, 1)
	l, file, err := n.registry.outputs.open(n.executor.dirs, m)
	must(t, err)
	must(t, os.Truncate(o.Data, 150)) // after its length was asked for
	eager := newEagerBlocks(&LocateRequest{EagerBlock: 100, EagerBytes: 1000})
	ids, found := []BlockID{reduces(1, 1, 0, 1), reduces(1, 1, 1, 2)}, make([]Found, 2)
	count, length := eager.run(l, ids, found)
	if err := eager.read(l, file, ids[:count], found[:count], length); err == nil || fileError(err, ReasonBadMapOutput).Reason != ReasonBadMapOutput {
		t.Errorf("error: %v", err)
	}
	for i, f := range found {
		if f.Mem != nil || f.Close != nil || f.File != nil {
			t.Errorf("block %d holds something: %+v", i, f)
		}
	}
	eager.end()
	file.unref()
	for _, f := range n.locateEager(100, 1000, ids...) {
		n.expectReason(f, ReasonBadMapOutput)
	}
}
