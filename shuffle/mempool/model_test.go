package mempool_test

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"weft/internal/invariants"
	"weft/shuffle/mempool"
)

// bitmap is the dumb reference of a region: one flag for 64 bytes.
type bitmap []bool

// fit returns the first offset with room for n bytes at the alignment; -1 if there is none.
func (b bitmap) fit(n, align int) int {
	for off := 0; off+n <= len(b)*64; off += align {
		if !slices.Contains(b[off/64:(off+n)/64], true) {
			return off
		}
	}
	return -1
}

func (b bitmap) set(off, n int, used bool) {
	for i := off / 64; i < (off+n)/64; i++ {
		b[i] = used
	}
}

func up(n, to int) int { return (n + to - 1) / to * to }

// shape returns the extent and the alignment of a lease of n bytes, as the package doc promises them.
func shape(n int) (size, align int) {
	if n >= 64<<10 {
		return up(n, 4096), 4096
	}
	return up(n, 64), 64
}

type modelLease struct {
	*mempool.Lease
	size   int
	shares int
	fill   byte
}

func TestArenaAgainstBitmaps(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const regionSize, maxBytes = 256 << 10, 700 << 10 // leases of at most a region: what is larger has its own test
		budget := mempool.NewBudget(1 << 20)
		arena := mempool.NewArena(mempool.ArenaOptions{
			Backing: mempool.Heap{}, Budget: budget, Purpose: "test", RegionSize: regionSize, Max: maxBytes,
		})
		var regions []bitmap // by number; the last one may be what the limit left
		total := 0
		var out []*modelLease
		sizes := rapid.OneOf(rapid.IntRange(1, 200), rapid.IntRange(1, 20<<10), rapid.IntRange(60<<10, regionSize))

		put := func(l *modelLease, from int) {
			regions[l.Region()].set(int(l.Offset())+from, l.size-from, false)
		}
		t.Repeat(map[string]func(*rapid.T){
			"alloc": func(t *rapid.T) {
				n := sizes.Draw(t, "bytes")
				size, align := shape(n)
				region, off := -1, -1
				for i, b := range regions {
					if o := b.fit(size, align); o >= 0 {
						region, off = i, o
						break
					}
				}
				if room := (maxBytes - total) / 4096 * 4096; region < 0 && up(n, 4096) <= room {
					grown := min(room, regionSize)
					regions = append(regions, make(bitmap, grown/64))
					total += grown
					region, off = len(regions)-1, 0
				}
				l, ok := arena.TryAlloc(n)
				if ok != (region >= 0) {
					t.Fatalf("TryAlloc(%d) = %v, the reference says %v", n, ok, region >= 0)
				}
				if !ok {
					return
				}
				if int(l.Region()) != region || int(l.Offset()) != off || len(l.Bytes()) != n {
					t.Fatalf("TryAlloc(%d) lies at %d:%d with %d bytes, the reference says %d:%d", n, l.Region(), l.Offset(), len(l.Bytes()), region, off)
				}
				regions[region].set(off, size, true)
				ml := &modelLease{Lease: l, size: size, shares: 1, fill: rapid.Byte().Draw(t, "fill")}
				for i := 0; i < n; i += 64 {
					l.Bytes()[i] = ml.fill
				}
				out = append(out, ml)
			},
			"trim": func(t *rapid.T) {
				if len(out) == 0 {
					t.Skip("nothing out")
				}
				l := rapid.SampledFrom(out).Draw(t, "lease")
				n := rapid.IntRange(1, l.Len()).Draw(t, "bytes")
				l.Trim(n)
				put(l, up(n, 64))
				l.size = up(n, 64)
			},
			"retain": func(t *rapid.T) {
				if len(out) == 0 {
					t.Skip("nothing out")
				}
				l := rapid.SampledFrom(out).Draw(t, "lease")
				n := rapid.IntRange(0, 3).Draw(t, "shares")
				l.Retain(n)
				l.shares += n
			},
			"release": func(t *rapid.T) {
				if len(out) == 0 {
					t.Skip("nothing out")
				}
				i := rapid.IntRange(0, len(out)-1).Draw(t, "index")
				l := out[i]
				if l.shares > 1 {
					l.shares--
					l.Release()
					return
				}
				mem := l.Bytes()
				put(l, 0)
				l.Release()
				if invariants.Enabled && !bytes.Equal(mem, bytes.Repeat([]byte{invariants.Poison}, len(mem))) {
					t.Fatal("freed memory is not poisoned")
				}
				out = slices.Delete(out, i, i+1)
			},
			"": func(t *rapid.T) {
				leased := 0
				for _, l := range out {
					leased += l.size
					for i := 0; i < l.Len(); i += 64 {
						if l.Bytes()[i] != l.fill {
							t.Fatalf("the lease at %d:%d was written to by another", l.Region(), l.Offset())
						}
					}
				}
				want := mempool.Usage{Allocated: int64(total), Leased: int64(leased), Leases: int64(len(out))}
				if got := budget.Usage()["test"]; got != want {
					t.Fatalf("usage is %+v, want %+v", got, want)
				}
			},
		})
		for _, l := range out {
			l.ReleaseShares(l.shares)
		}
		if err := arena.Close(); err != nil {
			t.Fatal(err)
		}
		<-arena.Done()
	})
}
