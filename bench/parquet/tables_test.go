package parquet

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"weft/bench/result"
	"weft/bench/sample"
)

func runs() []result.Run {
	accuracy := 0.75
	first := result.Run{
		Config: result.Config{
			Model: "lenet", Data: "synthetic mnist, 1024+512", Spark: "3.1.3", Impl: "stock", Link: "as is", Executors: 2, Cores: 1,
			Batch: 64, Epochs: 2, Iterations: 4, Seed: -1, Repeat: 1,
		},
		Started: time.Date(2026, 11, 23, 18, 0, 0, 123456000, time.UTC), Seconds: 40.5,
		Versions: map[string]string{"weft": "1", "java": "17"}, Machine: result.Machine{CPU: "é", Cores: 2, MemoryBytes: 1 << 34, Kernel: "6"},
		Conf:             map[string]string{"spark.executor.memory": "2g"},
		Iterations:       []result.Iteration{{N: 1, Epoch: 1, End: 23, Seconds: 20, Records: 64, Loss: 2.3, ComputeSeconds: 1, GetWeightsSeconds: 5, AggregateSeconds: 6, PutSeconds: 7}, {N: 2}},
		Epochs:           []result.Epoch{{N: 1, End: 23, Accuracy: &accuracy}, {N: 2, End: 26}},
		FetchWaitSeconds: 1, CPUSeconds: 2, BytesWeft: 3, BytesRDMA: 4, BytesNetty: 5, DriverLookups: 6, CachedLookups: 7, Fallbacks: 8,
	}
	for at := range 3000 {
		first.Samples = append(first.Samples, result.Sample{At: float64(at), Host: "h1", Name: result.CPU, Of: "executor", Value: float64(at) / 3})
	}
	failed := result.Run{Config: first.Config, Failure: "spark-submit: exit status 1", Started: first.Started}
	failed.Impl = "weft-tcp"
	return []result.Run{first, failed}
}

func TestRoundTrip(t *testing.T) {
	dir, want := t.TempDir(), runs()
	if err := Write(dir, want); err != nil {
		t.Fatal(err)
	}
	got, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	windows, err := readFile[sampleRow](filepath.Join(dir, "windows.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	if averages := sample.Windows(want[0].Samples, 60); len(windows) != 50 || windows[7].Sample != averages[7] || windows[7].Config != want[0].Config {
		t.Errorf("%d windows, the eighth %+v", len(windows), windows[7])
	}
	if err := Write(dir, want[1:]); err != nil {
		t.Fatal(err)
	}
	if got, err := Read(dir); err != nil || !reflect.DeepEqual(got, want[1:]) {
		t.Errorf("written over: %v, %+v", err, got)
	}
}

// What a reader of the tables relies on: docs/results-format.md.
func TestColumns(t *testing.T) {
	page, err := os.ReadFile("../../docs/results-format.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []reflect.Type{reflect.TypeFor[runRow](), reflect.TypeFor[iterationRow](), reflect.TypeFor[epochRow](), reflect.TypeFor[sampleRow]()} {
		seen := map[string]bool{}
		for _, c := range columns(row, "", nil) {
			if c.name == "" || seen[c.name] {
				t.Errorf("%s has a column without a name of its own: %q", row, c.name)
			}
			seen[c.name] = true
			if !strings.Contains(string(page), "| `"+c.name+"` |") {
				t.Errorf("docs/results-format.md lacks column %s of %s", c.name, row)
			}
		}
	}
}

func TestDamagedTables(t *testing.T) {
	dir := t.TempDir()
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "runs.parquet") {
		t.Errorf("an empty folder: %v", err)
	}
	if err := Write(dir, runs()); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "epochs.parquet")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b[:len(b)-10], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("a cut file: %v", err)
	}
	if err := errors.Join(Write(dir, runs()), writeFile[runRow](filepath.Join(dir, "runs.parquet"), nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(dir); err == nil || !strings.Contains(err.Error(), "3004 rows") {
		t.Errorf("rows without their run: %v", err)
	}
	if err := Write(filepath.Join(dir, "nowhere"), nil); err == nil {
		t.Error("a folder that is not there is no error")
	}
}
