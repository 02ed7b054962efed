package fetch

import (
	"strings"
	"testing"
)

func rec(impl string, blocksPerS float64) Record {
	return Record{Impl: impl, From: "map output", BlockBytes: 1024, RequestBlocks: 100, BlocksPerS: blocksPerS, GBPerS: blocksPerS * 1024 / 1e9}
}

func TestMediansAreByFigureAndRow(t *testing.T) {
	got := Medians([][]Record{{rec("weft", 10), rec("netty", 5)}, {rec("weft", 30), rec("netty", 7)}, {rec("weft", 20), rec("netty", 1)}})
	if len(got) != 2 || got[0].Impl != "netty" || got[0].BlocksPerS != 5 || got[1].BlocksPerS != 20 {
		t.Errorf("medians are %+v", got)
	}
}

func TestRatioIsTakenWithinARound(t *testing.T) {
	// The machine doubled its speed from round to round; weft was always twice as fast.
	got := Ratios([][]Record{{rec("netty", 10), rec("weft", 20)}, {rec("weft", 40), rec("netty", 20)}, {rec("weft", 80), rec("netty", 40)}})
	if len(got) != 1 || got[0].Median != 2 || got[0].Min != 2 || got[0].Max != 2 {
		t.Errorf("ratios are %+v, want 2", got)
	}
}

func TestParseRecords(t *testing.T) {
	rs, err := ParseRecords([]byte(`{"impl":"weft","transport":"tcp","block_bytes":1024,"request_blocks":1,"gb_per_s":0.5,"p99_us":7}` + "\n"))
	if err != nil || len(rs) != 1 || rs[0].GBPerS != 0.5 || rs[0].P99us != 7 || rs[0].BlockBytes != 1024 {
		t.Errorf("parsed %+v, %v", rs, err)
	}
	if _, err := ParseRecords([]byte("{")); err == nil || !strings.Contains(err.Error(), "record") {
		t.Errorf("a torn record gave %v", err)
	}
}

func TestGoBenchFormat(t *testing.T) {
	var b strings.Builder
	if err := WriteGoBench(&b, [][]Record{{rec("weft", 100)}}); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(b.String(), "BenchmarkFetch/impl=weft/from=map-output/block=1024/request=100 \t1\t1000000000 ns/op\t") {
		t.Errorf("got %q", b.String())
	}
}
