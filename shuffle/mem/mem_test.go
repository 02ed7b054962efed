package mem_test

import (
	"sync"
	"testing"

	"weft/internal/leakcheck"
	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/mem"
	"weft/shuffle/transporttest"
)

func TestMain(m *testing.M) { leakcheck.Main(m) }

func TestConformance(t *testing.T) {
	transporttest.Run(t, func(t *testing.T, src shuffle.Source) transporttest.Link {
		c, err := mem.New(src, metrics.NewSet()).Dial(t.Context(), shuffle.PeerAddr{})
		if err != nil {
			t.Fatal(err)
		}
		return transporttest.Link{Conn: c}
	})
}

// Each of several that close a connection at the same time may tear down what the blocks are made of once it is back.
func TestCloseByMany(t *testing.T) {
	src := transporttest.NewSource(t)
	ids, _ := src.Add(make([]int, 5000)...)
	for i := range ids {
		src.AddMem(ids[i], []byte{1})
	}
	c, err := mem.New(src, metrics.NewSet()).Dial(t.Context(), shuffle.PeerAddr{})
	if err != nil {
		t.Fatal(err)
	}
	located := make(chan error)
	c.Locate(&shuffle.LocateRequest{Blocks: ids}, nil, func(_ []shuffle.Located, err error) { located <- err })
	if err := <-located; err != nil || src.Open() != len(ids) {
		t.Fatalf("%d blocks of %d are held open: %v", src.Open(), len(ids), err)
	}
	var closers sync.WaitGroup
	for range 8 {
		closers.Go(func() {
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if n := src.Open(); n != 0 {
				t.Errorf("%d blocks are held open when Close is back", n)
			}
		})
	}
	closers.Wait()
}
