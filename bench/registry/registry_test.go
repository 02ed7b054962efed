package registry

import (
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func small(t *testing.T) Config {
	return Config{Outputs: 3000, Reducers: 20, Rounds: 2, Ranges: 500, Dir: t.TempDir(), Progress: io.Discard}
}

func TestRun(t *testing.T) {
	c := small(t)
	r, err := Run(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	// A map output is an entry of a map and the paths of its files; its layout has 4 bytes for each offset and checksum.
	if perOutput := r.StateBytes / int64(c.Outputs); perOutput < 64 || perOutput > 1024 {
		t.Errorf("%d bytes for each registered map output", perOutput)
	}
	if layouts := r.TotalBytes - r.StateBytes; layouts < int64(c.Outputs*c.Reducers*8) || r.PerOutput != r.TotalBytes/int64(c.Outputs) {
		t.Errorf("layouts take %d bytes, all %d for each", layouts, r.PerOutput)
	}
	var rows []string
	for _, row := range r.Resolve {
		rows = append(rows, row.Range+" "+row.Layout)
		if len(row.Micros) != c.Rounds || slices.Min(row.Micros) <= 0 {
			t.Errorf("row %+v", row)
		}
	}
	if want := []string{
		"shuffle_S_M_R cold", "shuffle_S_M_R closed", "shuffle_S_M_R warm",
		"shuffle_S_M_Rstart_Rend cold", "shuffle_S_M_Rstart_Rend closed", "shuffle_S_M_Rstart_Rend warm",
	}; !reflect.DeepEqual(rows, want) {
		t.Errorf("rows %q", rows)
	}
	if len(r.FilesAlone) != c.Rounds || slices.Min(r.FilesAlone) <= 0 {
		t.Errorf("the files alone take %v", r.FilesAlone)
	}
	if left, err := os.ReadDir(c.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	var table strings.Builder
	if err := r.WriteTable(&table); err != nil || strings.Count(table.String(), "\n") != 10 {
		t.Errorf("%v, table:\n%s", err, table.String())
	}
}

func TestResultComesBack(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	want := Result{Outputs: 7, StateBytes: 5, Resolve: []Row{{"shuffle_S_M_R", Warm, []float64{3, 1}}}, FilesAlone: []float64{4}}
	if err := want.Write(dir); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "registry.json"))
	if err != nil {
		t.Fatal(err)
	}
	var got Result
	if err := json.Unmarshal(b, &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v: %+v", err, got)
	}
}

// A time of answers that are errors would be no time to resolve anything.
func TestBlockThatIsNotThere(t *testing.T) {
	c := small(t)
	if err := c.writeFiles(); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(c.mapOutput(2999).Index); err != nil {
		t.Fatal(err)
	}
	if _, err := c.measure(t.Context()); err == nil || !strings.Contains(err.Error(), "shuffle_1_2999_") {
		t.Errorf("without an index: %v", err)
	}
	if _, err := (&resolver{Config: c}).filesAlone(c.Outputs); err == nil || !strings.Contains(err.Error(), c.mapOutput(2999).Index) {
		t.Errorf("without an index, the files alone: %v", err)
	}
	if err := os.WriteFile(c.mapOutput(2999).Index, []byte("short"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := (&resolver{Config: c}).filesAlone(c.Outputs); err == nil || !strings.Contains(err.Error(), "5 bytes, not 168") {
		t.Errorf("a short index: %v", err)
	}
}

func TestNothingToMeasure(t *testing.T) {
	for _, c := range []Config{{Outputs: 99, Reducers: 1, Rounds: 1, Ranges: 1}, {Outputs: 100, Reducers: 1001, Rounds: 1, Ranges: 1}, {Outputs: 100, Reducers: 1, Ranges: 1}, {Outputs: 100, Reducers: 1, Rounds: 1}} {
		if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "needed") {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
