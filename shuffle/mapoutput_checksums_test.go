package shuffle

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"testing"
)

func blocks(ranges ...partitions) (ids []BlockID) {
	for _, r := range ranges {
		ids = append(ids, reduces(0, 0, r.start, r.end))
	}
	return ids
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Who computes what, without any reading.
func TestClaims(t *testing.T) {
	s := newPartitionSums(100)
	first, others := s.claim(blocks(partitions{3, 5}, partitions{5, 9}, partitions{20, 21}, partitions{99, 101}))
	if want := []partitions{{3, 9}, {20, 21}}; !slices.Equal(first, want) || others != nil {
		t.Fatalf("neighbours are read together: %v", first)
	}
	second, others := s.claim(blocks(partitions{0, 10}))
	if want := []partitions{{0, 3}, {9, 10}}; !slices.Equal(second, want) || others == nil {
		t.Fatalf("what is being computed is left alone: %v", second)
	}
	third, waiting := s.claim(blocks(partitions{4, 5}))
	if third != nil || waiting == nil || closed(waiting) {
		t.Fatalf("nothing left to claim: %v", third)
	}
	s.end(first[:1], false)
	if !closed(waiting) || !closed(others) {
		t.Fatal("an end wakes those who wait")
	}
	third, waiting = s.claim(blocks(partitions{4, 5}))
	if want := []partitions{{4, 5}}; !slices.Equal(third, want) || waiting != nil {
		t.Fatalf("what failed is there to be claimed again: %v", third)
	}
	s.end(third, true)
	s.end(second, true)
	if again, others := s.claim(blocks(partitions{0, 3}, partitions{4, 5}, partitions{9, 10})); again != nil || others != nil {
		t.Fatalf("what is known is not computed again: %v", again)
	}
	s.end(first[1:], true)

	twice, others := s.claim(blocks(partitions{50, 52}, partitions{50, 52}))
	if want := []partitions{{50, 52}}; !slices.Equal(twice, want) || others == nil {
		t.Fatalf("one block twice in a request: %v", twice)
	}
	if s.end(twice, true); !closed(others) {
		t.Fatal("a request must not wait for itself")
	}
}

func testDataFile(t *testing.T, parts ...[]byte) (*index, *dataFile) {
	t.Helper()
	n := newNode(t, RegistryOptions{}, nil)
	n.commit(0, 0, parts...)
	l, file, err := n.registry.outputs.open(n.executor.dirs, n.executor.mapOutput(0, 0))
	must(t, err)
	t.Cleanup(file.unref)
	return l.index, file
}

func TestWaitingForOthersEndsWithTheContext(t *testing.T) {
	x, file := testDataFile(t, []byte("a"), []byte("b"))
	s := newPartitionSums(2)
	s.claim(blocks(partitions{1, 2})) // by one who is slow
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan error)
	go func() { ended <- s.ensure(ctx, x, file, blocks(partitions{0, 2})) }()
	why := errors.New("the reader is gone")
	cancel(why)
	if err := <-ended; !errors.Is(err, why) {
		t.Errorf("error: %v", err)
	}
}

// Of many who ask at the same time, one computes; where its request is cancelled, another one does.
func TestComputedOnce(t *testing.T) {
	x, file := testDataFile(t, randomBytes(1, 3<<20))
	s := newPartitionSums(1)
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	var all sync.WaitGroup
	for i := range 20 {
		ctx := context.Background()
		if i%2 == 0 {
			ctx = cancelled
		}
		all.Go(func() {
			err := s.ensure(ctx, x, file, blocks(partitions{0, 1}))
			if ctx != cancelled && err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if got, want := s.of(x, 0, 1), Checksum(randomBytes(1, 3<<20)); got != want {
		t.Errorf("checksum %08x, not %08x", got, want)
	}
	// Known now: the file is not read again.
	must(t, os.Truncate(file.name.String(), 0))
	must(t, s.ensure(context.Background(), x, file, blocks(partitions{0, 1})))
}
