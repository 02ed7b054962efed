package targets

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weft/bench/golden"
)

// value finds the figure whose name has all the words.
func value(t *testing.T, figures []Figure, words ...string) Figure {
	t.Helper()
	for _, f := range figures {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(f.Figure, word) }) {
			return f
		}
	}
	t.Fatalf("no figure of %q", words)
	return Figure{}
}

// In testdata/full the machine slows down from round to round, some runs failed, and there are rows that no target is of.
func TestFiguresAreTakenWithinARound(t *testing.T) {
	figures := Of("testdata/full")
	for _, want := range []struct {
		words          []string
		value, low, hi float64
		ok             bool
	}{
		{[]string{"1 MiB", "GB/s, weft to Netty"}, 1.5, 1.5, 1.9, false},
		{[]string{"1 KiB", "blocks/s"}, 6, 6, 6, true},
		{[]string{"4 KiB", "Netty to weft"}, 0.8, 0.8, 0.8, false},
		{[]string{"1 MiB", "weft to the raw loop"}, 0.75, 0.75, 0.95, false},
		{[]string{"CPU s/GB"}, 0.5, 0.25, 0.5, false},
		{[]string{"allocated"}, 0.0007, 0.0007, 0.0007, true},
		{[]string{"2 GiB"}, 1.75, 1.5, 2, true},
		{[]string{"10^6"}, 1.75, 1.5, 2, false},
		{[]string{"BigDL"}, 2.5, 2, 3, true},
		{[]string{"ib_read_bw"}, 0.85, 0.75, 0.95, false},
		{[]string{"ib_read_lat"}, 1.35, 1.2, 1.5, false},
		{[]string{"bytes of memory"}, 80 << 20, 80 << 20, 80 << 20, true},
		{[]string{"warm", "Rstart"}, 1, 0.5, 2, true},
		{[]string{"cold", "_R:"}, 16, 8, 32, false},
	} {
		f := value(t, figures, want.words...)
		near := func(a, b float64) bool { return a > b*0.999999 && a < b*1.000001 }
		if f.Value == nil || !near(*f.Value, want.value) || !near(f.Spread[0], want.low) || !near(f.Spread[1], want.hi) || f.OK != want.ok {
			b, _ := json.Marshal(f)
			t.Errorf("%s; want %+v", b, want)
		}
	}
	if note := value(t, figures, "1 MiB", "weft to Netty").Note; note != "raw loop to Netty in the same rounds: 2 (2..2)" {
		t.Errorf("the limit is noted as %q", note)
	}
}

func TestTable(t *testing.T) {
	figures := Of("testdata/full")
	var table strings.Builder
	if err := WriteTable(&table, figures); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "table.txt", table.String())
	dir := t.TempDir()
	if err := Write(dir, figures); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "targets.json"))
	if err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "targets.json", string(b))
}

// What was not measured is a target that is not met, and says how to measure it.
func TestNothingMeasured(t *testing.T) {
	for _, f := range Of(t.TempDir()) {
		if f.OK || f.Value != nil || !strings.Contains(f.Why, ".json: run `") {
			t.Errorf("%+v", f)
		}
	}
}

func TestResultsWithoutTheFigure(t *testing.T) {
	for name, c := range map[string]struct{ json, why string }{
		"fetch-rounds.json": {`[[{"impl":"netty","from":"map output","block_bytes":1048576,"request_blocks":100,"gb_per_s":1}]]`, "no round"},
		"train.json":        {`[{"model":"vgg"`, "train.json: unexpected end of JSON input; remove it"},
		"rdma-rounds.json":  {`[[{"impl":"weft","block_bytes":4096,"depth":1,"p50_us":5,"gb_per_s":1}]]`, "perftest was not measured"},
		"registry.json":     {`{"map_outputs":3000,"reducers":20,"total_bytes":1}`, "3000 map outputs of 20 reducers"},
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(c.json), 0o644); err != nil {
			t.Fatal(err)
		}
		why := map[string]bool{}
		for _, f := range Of(dir) {
			if f.OK || f.Value != nil {
				t.Errorf("%s gave %+v", name, f)
			}
			why[f.Why] = true
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(why)), func(w string) bool { return strings.Contains(w, c.why) }) {
			t.Errorf("%s: nobody says %q: %v", name, c.why, why)
		}
	}
}

// A round in which Netty took less than the raw loop has no ratio of what both took above it, and the others alone would be chosen ones.
func TestNettyBelowTheRawLoop(t *testing.T) {
	dir := t.TempDir()
	b, err := os.ReadFile("testdata/full/fetch-rounds.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "fetch-rounds.json"), []byte(strings.Replace(string(b), `"cpu_s_per_gb": 1.25`, `"cpu_s_per_gb": 0.2`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if f := value(t, Of(dir), "CPU s/GB"); f.OK || f.Value != nil || !strings.Contains(f.Why, "in 1 of 3 rounds Netty took no more CPU") {
		t.Errorf("%+v", f)
	}
}

// What several figures have to say is said once.
func TestTableOfNothing(t *testing.T) {
	var table strings.Builder
	if err := WriteTable(&table, Of(t.TempDir())); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(table.String(), "run `weft bench registry`"); n != 1 || !strings.HasSuffix(table.String(), "\n0 of 18 targets met, 18 not measured\n") {
		t.Errorf("the registry's is there %d times:\n%s", n, table.String())
	}
}
