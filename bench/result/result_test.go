package result

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

func lenet(impl string, repeat int) Run {
	accuracy := 0.75
	return Run{
		Config: Config{
			Model: "lenet", Data: "synthetic mnist, 1024+512", Spark: "3.1.3", Impl: impl, Link: "as is", Executors: 2, Cores: 1,
			Batch: 64, Epochs: 2, Seed: 1, Repeat: repeat,
		},
		Started: time.Date(2026, 11, 23, 18, 0, 0, 0, time.UTC), Seconds: 40,
		Iterations: []Iteration{
			{N: 1, Epoch: 1, Seconds: 20, GetWeightsSeconds: 5},
			{N: 2, Epoch: 1, Seconds: 3, GetWeightsSeconds: 0.3},
			{N: 3, Epoch: 2, Seconds: 1, GetWeightsSeconds: 0.1},
			{N: 4, Epoch: 2, Seconds: 2, GetWeightsSeconds: 0.2},
		},
		Epochs: []Epoch{{N: 1, End: 23, Accuracy: &accuracy}, {N: 2, End: 26}},
	}
}

func TestSavedRunsComeBack(t *testing.T) {
	dir := t.TempDir()
	want := []Run{lenet("stock", 1), lenet("weft-tcp", 1), lenet("stock", 2)}
	for _, i := range []int{2, 0, 1} {
		if err := Save(dir, want[i]); err != nil {
			t.Fatal(err)
		}
	}
	got, err := LoadAll(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v\nwant %+v", got, want)
	}
	one, ok, err := Load(dir, want[1].Config)
	if err != nil || !ok || !reflect.DeepEqual(one, want[1]) {
		t.Errorf("one run: %v, %v: %+v", ok, err, one)
	}
	other := want[1].Config
	other.Batch = 128
	if _, ok, err := Load(dir, other); ok || err != nil {
		t.Errorf("a row that was not run: %v, %v", ok, err)
	}
}

func TestDamagedRun(t *testing.T) {
	dir, r := t.TempDir(), lenet("stock", 1)
	if err := Save(dir, r); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "runs", r.ID()+".json")
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b[:len(b)/2], 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(dir, r.Config); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("half a file: %v", err)
	}
	if err := os.WriteFile(name, []byte(strings.Replace(string(b), `"batch": 64`, `"batch": 65`, 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Load(dir, r.Config); err == nil || !strings.Contains(err.Error(), "another row") {
		t.Errorf("a file under another's name: %v", err)
	}
	if _, err := LoadAll(t.TempDir()); err == nil {
		t.Error("a folder without runs is no error")
	}
}

func TestIDsTellRowsApart(t *testing.T) {
	base := lenet("stock", 1).Config
	seen := map[string]bool{base.ID(): true}
	v := reflect.ValueOf(&base).Elem()
	for i := range v.NumField() {
		c := base
		switch f := reflect.ValueOf(&c).Elem().Field(i); f.Kind() {
		case reflect.String:
			f.SetString(f.String() + "9")
		default:
			f.SetInt(f.Int() + 1)
		}
		if seen[c.ID()] {
			t.Errorf("%s does not show in the id %s", v.Type().Field(i).Name, c.ID())
		}
		seen[c.ID()] = true
	}
	if id := base.ID(); strings.ContainsAny(id, "/ ,+") {
		t.Errorf("the id is no plain file name: %s", id)
	}
}

func TestRow(t *testing.T) {
	dir := t.TempDir()
	failed := lenet("weft-tcp", 1)
	failed.Failure, failed.Iterations, failed.Epochs = "spark-submit: exit status 1", nil, nil
	run := lenet("stock", 1)
	run.ParameterFetchSeconds = 0.6 // of all executors, in all iterations
	if err := WriteRows(dir, []Run{run, failed}); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "train.json"))
	if err != nil {
		t.Fatal(err)
	}
	var rows []Row
	if err := json.Unmarshal(b, &rows); err != nil {
		t.Fatal(err)
	}
	r := rows[0]
	if r.IterationSeconds != 2 || r.GetWeightsSeconds != 0.2 || !reflect.DeepEqual(r.EpochEndSeconds, []float64{23, 26}) || *r.Accuracy != 0.75 {
		t.Errorf("row %+v", r)
	}
	if each := 0.6 / float64(run.Executors) / float64(len(run.Iterations)); r.ParameterFetchSeconds != each {
		t.Errorf("fetches of parameters took %v in each iteration, want %v", r.ParameterFetchSeconds, each)
	}
	if f := rows[1]; f.Failure == "" || f.IterationSeconds != 0 || f.Accuracy != nil || f.EpochEndSeconds == nil {
		t.Errorf("failed row %+v", f)
	}
}
