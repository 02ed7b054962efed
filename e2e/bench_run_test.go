//go:build e2e || rdma

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
)

// benchRun is a run of `weft bench train`, as it is kept.
type benchRun struct {
	Impl, Failure, Link, Sampled, Missing string

	Iterations []json.RawMessage `json:"iteration_list"`
	Epochs     []struct {
		Accuracy *float64
	} `json:"epoch_list"`
	Samples []struct {
		Name, Host, Of string
	} `json:"sample_list"`
	Device        string `json:"rdma_device"`
	BytesWeft     int64  `json:"bytes_weft"`
	BytesRDMA     int64  `json:"bytes_rdma"`
	BytesNetty    int64  `json:"bytes_netty"`
	Fallbacks     int64  `json:"fallbacks"`
	DriverLookups int64  `json:"driver_lookups"`
	CachedLookups int64  `json:"cached_lookups"`
}

// readBenchRuns are the runs in a folder, by their implementation.
func readBenchRuns(t *testing.T, out string, want int) map[string]benchRun {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(out, "runs", "*.json"))
	if err != nil || len(names) != want {
		t.Fatalf("%d runs, %v", len(names), err)
	}
	runs := map[string]benchRun{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var r benchRun
		if err := json.Unmarshal(b, &r); err != nil {
			t.Fatal(err)
		}
		runs[r.Impl] = r
	}
	return runs
}

// readOne reads the one file of a pattern.
func readOne(t *testing.T, pattern string) string {
	t.Helper()
	names, err := filepath.Glob(pattern)
	if err != nil || len(names) != 1 {
		t.Fatalf("%s: %v, %v", pattern, names, err)
	}
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
