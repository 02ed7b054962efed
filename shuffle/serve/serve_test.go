package serve_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"weft/internal/leakcheck"
	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/quota"
	"weft/shuffle/serve"
	"weft/shuffle/transporttest"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

// locate finds blocks and answers with the given eager memory.
func locate(t *testing.T, table *serve.Table, src *transporttest.Source, ids []shuffle.BlockID, eagerBlock, eagerBytes int) ([]shuffle.Located, []byte) {
	t.Helper()
	found := serve.Find(t.Context(), src, &shuffle.LocateRequest{Blocks: ids})
	want := serve.EagerBytes(found, eagerBlock, eagerBytes)
	eager := make([]byte, want)
	got, used := table.Answer(quota.Share{}, found, eagerBlock, eager, nil, nil)
	if used != want {
		t.Errorf("%d eager bytes, announced were %d", used, want)
	}
	return got, eager
}

func TestAnswer(t *testing.T) {
	src, m := transporttest.NewSource(t), metrics.NewSet()
	table := serve.NewTable(m, "tcp", 0)
	defer table.Close()
	ids, data := src.Add(100, 5000, 200, 0, 300)
	src.AddError(transporttest.ID(9), shuffle.Errorf(shuffle.ReasonNotFound, "gone"))
	got, eager := locate(t, table, src, append(ids, transporttest.ID(9)), 400, 350)
	if !bytes.Equal(eager, append(append([]byte{}, data[0]...), data[2]...)) {
		t.Error("other eager bytes")
	}
	if got[0].Handle != 0 || got[1].Handle == 0 || got[2].EagerOff != 100 || got[3].Handle != 0 || got[4].Handle == 0 || got[5].Err == nil {
		t.Errorf("%+v", got)
	}
	if src.Open() != 2 {
		t.Errorf("%d blocks are held open, want the two with handles", src.Open())
	}
	if n := testutil.ToFloat64(m.BlocksTotal("tcp", metrics.Served)); n != 3 {
		t.Errorf("%v blocks counted, want the eager ones and the empty one", n)
	}
	if n := testutil.ToFloat64(m.BytesTotal("tcp", metrics.Served)); n != 300 {
		t.Errorf("%v bytes counted", n)
	}
}

// Neighbours in a file are read together, and each has its own fate.
func TestNeighboursInAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, []byte("aaabbbbcc"), 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	other, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	block := func(of *os.File, at, n int64) shuffle.Found { return shuffle.Found{File: of, Offset: at, Length: n} }
	empty := shuffle.Found{Offset: 7}
	for name, c := range map[string]struct {
		found []shuffle.Found
		room  int
		want  string
		fails int // block; -1: none
	}{
		"all of it":         {[]shuffle.Found{block(file, 0, 3), block(file, 3, 4), block(file, 7, 2)}, 100, "aaabbbbcc", -1},
		"with an empty one": {[]shuffle.Found{block(file, 3, 4), empty, block(file, 7, 2)}, 100, "bbbbcc", -1},
		"a gap":             {[]shuffle.Found{block(file, 0, 3), block(file, 7, 2)}, 100, "aaacc", -1},
		"back again":        {[]shuffle.Found{block(file, 3, 4), block(file, 0, 3)}, 100, "bbbbaaa", -1},
		"two files":         {[]shuffle.Found{block(file, 0, 3), block(other, 3, 4)}, 100, "aaabbbb", -1},
		"room for some":     {[]shuffle.Found{block(file, 0, 3), block(file, 3, 4), block(file, 7, 2)}, 5, "aaacc", -1},
		"the last one cut":  {[]shuffle.Found{block(file, 0, 3), block(file, 3, 4), block(file, 7, 3)}, 100, "aaabbbb", 2},
		"one failed before": {[]shuffle.Found{block(file, 0, 3), {Err: shuffle.Errorf(shuffle.ReasonNotFound, "gone")}, block(file, 3, 4)}, 100, "aaabbbb", 1},
	} {
		t.Run(name, func(t *testing.T) {
			table := serve.NewTable(metrics.NewSet(), "tcp", 0)
			defer table.Close()
			eager, found := make([]byte, c.room), slices.Clone(c.found)
			got, used := table.Answer(quota.Share{}, found, 100, eager, nil, nil)
			if string(eager[:used]) != c.want {
				t.Errorf("%q, want %q", eager[:used], c.want)
			}
			at := 0
			for i, l := range got {
				if (l.Err != nil) != (i == c.fails) {
					t.Errorf("block %d: %v", i, l.Err)
				}
				if l.Err == nil && l.Handle == 0 {
					if l.EagerOff != at {
						t.Errorf("block %d is at %d, want %d", i, l.EagerOff, at)
					}
					at += int(l.Length)
				}
			}
		})
	}
}

func TestBlocksLiveAsLongAsTheyAreUsed(t *testing.T) {
	src := transporttest.NewSource(t)
	table := serve.NewTable(metrics.NewSet(), "tcp", 0)
	ids, _ := src.Add(100, 100)
	got, _ := locate(t, table, src, ids, 0, 0)
	b, err := table.Acquire(shuffle.Range{Handle: got[0].Handle, Length: 100})
	if err != nil {
		t.Fatal(err)
	}
	table.Release([]uint64{got[0].Handle, got[0].Handle, 77})
	if src.Open() != 2 {
		t.Error("a block was closed while it is read")
	}
	if _, err := table.Acquire(shuffle.Range{Handle: got[0].Handle}); err == nil {
		t.Error("a handle given up was acquired")
	}
	table.Close()
	if src.Open() != 1 {
		t.Errorf("%d blocks are held open after Close, want the one that is read", src.Open())
	}
	table.Done(b, 100)
	if src.Open() != 0 {
		t.Error("the last user left the block open")
	}
	after, _ := locate(t, table, src, ids, 0, 0)
	if after[0].Err == nil || src.Open() != 0 {
		t.Errorf("a closed table holds blocks open: %+v", after)
	}
}

// A block counts as served when all of its bytes were sent, however many reads that took; one that was given up does not.
func TestServedBlocksAreCounted(t *testing.T) {
	src, m := transporttest.NewSource(t), metrics.NewSet()
	table := serve.NewTable(m, "tcp", 0)
	defer table.Close()
	ids, _ := src.Add(100, 100, 100)
	got, _ := locate(t, table, src, ids, 0, 0)
	for i, served := range []int64{60, 40, 60} {
		b, err := table.Acquire(shuffle.Range{Handle: got[i/2].Handle, Length: served})
		if err != nil {
			t.Fatal(err)
		}
		table.Done(b, served)
	}
	table.Release([]uint64{got[0].Handle, got[1].Handle, got[2].Handle})
	if n := testutil.ToFloat64(m.BlocksTotal("tcp", metrics.Served)); n != 1 {
		t.Errorf("%v blocks counted, want the one that was sent to its end", n)
	}
	if n := testutil.ToFloat64(m.BytesTotal("tcp", metrics.Served)); n != 160 {
		t.Errorf("%v bytes counted", n)
	}
}

func TestExpire(t *testing.T) {
	src := transporttest.NewSource(t)
	table := serve.NewTable(metrics.NewSet(), "tcp", 0)
	defer table.Close()
	ids, _ := src.Add(100, 100)
	got, _ := locate(t, table, src, ids, 0, 0)
	if n := table.Expire(time.Now().Add(-time.Hour)); n != 0 {
		t.Errorf("%d expired at once", n)
	}
	b, err := table.Acquire(shuffle.Range{Handle: got[1].Handle, Length: 1})
	if err != nil {
		t.Fatal(err)
	}
	if n := table.Expire(time.Now().Add(time.Hour)); n != 1 {
		t.Errorf("%d expired, want the one that is not read", n)
	}
	table.Done(b, 1)
}

func TestTooManyHandles(t *testing.T) {
	src := transporttest.NewSource(t)
	table := serve.NewTable(metrics.NewSet(), "tcp", 0)
	defer table.Close()
	ids, _ := src.Add(10)
	many := make([]shuffle.BlockID, serve.MaxHandles)
	for i := range many {
		many[i] = ids[0]
	}
	if got, _ := locate(t, table, src, many, 0, 0); got[serve.MaxHandles-1].Err != nil {
		t.Errorf("the last one allowed: %v", got[serve.MaxHandles-1].Err)
	}
	got, _ := locate(t, table, src, ids, 0, 0)
	if got[0].Err == nil || got[0].Err.Reason != shuffle.ReasonNoSpace || src.Open() != serve.MaxHandles {
		t.Errorf("one more: %+v; %d held open", got[0], src.Open())
	}
}

func TestFind(t *testing.T) {
	src := transporttest.NewSource(t)
	ids, _ := src.Add(10, 10)
	found := serve.Find(t.Context(), src, &shuffle.LocateRequest{Blocks: append(ids, transporttest.ID(99))})
	if len(found) != 3 || found[2].Err == nil {
		t.Errorf("%+v", found)
	}
	for _, f := range found[:2] {
		f.Close()
	}
	src.Fail(errors.New("a bug"))
	for _, f := range serve.Find(t.Context(), src, &shuffle.LocateRequest{Blocks: ids}) {
		if f.Err == nil || f.Err.Reason != shuffle.ReasonInternal {
			t.Errorf("%+v", f)
		}
	}
	src.Fail(nil)
	for _, f := range serve.Find(t.Context(), twice{src}, &shuffle.LocateRequest{Blocks: ids[:1]}) {
		if f.Err == nil || f.Err.Reason != shuffle.ReasonInternal {
			t.Errorf("%+v for a wrong number of answers", f)
		}
	}
}

// twice answers twice.
type twice struct{ *transporttest.Source }

func (b twice) Locate(ctx context.Context, req *shuffle.LocateRequest) ([]shuffle.Found, error) {
	found, err := b.Source.Locate(ctx, req)
	more, _ := b.Source.Locate(ctx, req)
	return append(found, more...), err
}
