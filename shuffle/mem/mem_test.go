package mem_test

import (
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
