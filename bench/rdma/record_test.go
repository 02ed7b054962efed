package rdma

import (
	"encoding/json"
	"strings"
	"testing"

	"weft/bench/summary"
)

var threeRounds = [][]Record{
	{{Weft, 4096, 1, 1, 20, 30, 4}, {Perftest, 4096, 1, 2, 10, 15, 0}, {Weft, 8, 16, 1, 1, 1, 1}, {Perftest, 8, 16, 4, 0, 0, 0}},
	{{Weft, 4096, 1, 3, 30, 40, 5}, {Perftest, 4096, 1, 3, 10, 15, 0}, {Weft, 8, 16, 1, 1, 1, 1}, {Perftest, 8, 16, 4, 0, 0, 0}},
	{{Weft, 4096, 1, 2, 10, 90, 6}, {Perftest, 4096, 1, 1, 10, 15, 0}, {Weft, 8, 16, 1, 1, 1, 1}}, // perftest failed
}

func TestMedians(t *testing.T) {
	want := []Record{{Weft, 8, 16, 1, 1, 1, 1}, {Perftest, 8, 16, 4, 0, 0, 0}, {Weft, 4096, 1, 2, 20, 40, 5}, {Perftest, 4096, 1, 2, 10, 15, 0}}
	got := Medians(threeRounds)
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("row %d: %+v, want %+v", i, got[i], want[i])
		}
	}
}

// A ratio is one of figures of the same round.
func TestRatios(t *testing.T) {
	want := []Ratio{
		{Perftest, 8, 16, summary.Of([]float64{0.25}), summary.Spread{}},
		{Perftest, 4096, 1, summary.Of([]float64{0.5, 1, 2}), summary.Of([]float64{1, 2, 3})},
	}
	got := Ratios(threeRounds)
	if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := WriteTable(&b, threeRounds); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1.00 (0.50..2.00)", "2.00 (1.00..3.00)", "–"} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
}

// What was not measured is not in the file.
func TestJSON(t *testing.T) {
	b, err := json.Marshal(threeRounds[0][3])
	if want := `{"impl":"perftest","block_bytes":8,"depth":16,"gb_per_s":4}`; err != nil || string(b) != want {
		t.Errorf("%s, %v: want %s", b, err, want)
	}
}

func TestValidate(t *testing.T) {
	err := Config{BlockBytes: []int{4, 12}, Depths: []int{65}}.validate()
	for _, want := range []string{"--block 4", "--block 12", "--depth 65", "nothing to do"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in: %v", want, err)
		}
	}
}

func TestArenaLen(t *testing.T) {
	for _, c := range []struct{ block, depth, want int }{{4096, 1, 4096}, {1 << 20, 16, 16 << 20}, {16 << 20, 64, 64 << 20}, {1 << 30, 4, 1 << 30}} {
		if got := arenaLen(c.block, c.depth); got != c.want {
			t.Errorf("%d READs of %d bytes: %d, want %d", c.depth, c.block, got, c.want)
		}
	}
}

func TestCheck(t *testing.T) {
	mem := make([]byte, 4096)
	fill(mem)
	if err := check(mem); err != nil {
		t.Error(err)
	}
	mem[100]++
	if err := check(mem); err == nil || !strings.Contains(err.Error(), "8 of 4096") {
		t.Errorf("%v", err)
	}
}
