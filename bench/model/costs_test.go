package model

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func load(t *testing.T, yaml string) (Costs, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "costs.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o644); err != nil {
		t.Fatal(err)
	}
	return Load(file)
}

func TestCostsOverTheDefaults(t *testing.T) {
	c, err := load(t, "cores: 8\ndriver: {task_s: 0.5}\nmodels:\n  mine: {parameters: 1000, sample_s: 0.01}\n")
	if err != nil {
		t.Fatal(err)
	}
	d := Default()
	if c.Cores != 8 || c.Driver.Task != 0.5 || c.Driver.Job != d.Driver.Job || c.Models["mine"].Parameters != 1000 || c.Models["vgg"] != d.Models["vgg"] {
		t.Errorf("%+v", c)
	}
	if c, err := load(t, ""); err != nil || c.Cores != d.Cores {
		t.Errorf("an empty file: %v, %+v", err, c)
	}
	if Default().Cores != d.Cores || len(Default().Models) != len(d.Models) {
		t.Error("loading changed the defaults")
	}
}

func TestUnknownKeys(t *testing.T) {
	_, err := load(t, "core: 8\nmodels: {vgg: {parameters: 1, samples: 2}}\ntransports: {stock: {fetch_s: a lot, gbit_s: 1}}\n")
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"costs.yaml", "line 1: field core not found", "line 2: field samples not found", "line 3: cannot unmarshal"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
}

func TestEveryConflictAtOnce(t *testing.T) {
	_, err := load(t, `{cores: 0, link_gbit_s: -1, oversubscription: 0.5, fetches: 0, compress_s: -1, update_s: -1, sum_s: .nan,
driver: {job_s: -1, task_s: -2, lookup_s: -3, lookup_service_s: -4},
models: {vgg: {parameters: 5, sample_s: -1}, x: {sample_s: 1}}, transports: {stock: {fetch_s: -1, gbit_s: 1}, y: {fetch_s: 1}}}`)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"cores has", "link_gbit_s has", "oversubscription has", "fetches has", "compress_s must", "update_s must", "sum_s must", "driver.job_s must",
		"driver.task_s must", "driver.lookup_s must", "driver.lookup_service_s must", "models.vgg.sample_s must", "models.x.parameters has",
		"transports.stock.fetch_s must", "transports.y.gbit_s has",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("no %q in %v", want, err)
		}
	}
	if n := strings.Count(err.Error(), "\n"); n != 14 {
		t.Errorf("%d lines, want 15: %v", n+1, err)
	}
}
