//go:build e2e || rdma

package e2e

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write testdata/results.txt anew from stock Spark")

const goldenFile = "testdata/results.txt"

// golden returns what stock Spark computes, by job. The jobs make their own input, so it is the same on every machine and Spark line.
func golden(t testing.TB) map[string]string {
	t.Helper()
	b, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]string{}
	for line := range strings.Lines(string(b)) {
		job, result, _ := strings.Cut(strings.TrimSpace(line), " ")
		results[job] = result
	}
	return results
}

func writeGolden(t testing.TB, results map[string]string) {
	t.Helper()
	var out strings.Builder
	for _, job := range slices.Sorted(maps.Keys(results)) {
		fmt.Fprintln(&out, job, results[job])
	}
	if err := os.WriteFile(goldenFile, []byte(out.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}

// checkResults compares every result of the run with stock Spark's.
func (r *Run) checkResults(t testing.TB, jobs int) {
	t.Helper()
	if len(r.Results) != jobs {
		t.Errorf("%d results of %d jobs: %v", len(r.Results), jobs, r.Results)
	}
	want := golden(t)
	for label, result := range r.Results {
		job, _, _ := strings.Cut(label, ".")
		if want[job] == "" {
			t.Errorf("%s has no result of stock Spark to compare with: go test -tags e2e ./e2e -run TestStock -update", job)
		} else if result != want[job] {
			t.Errorf("%s: %s, stock Spark: %s", label, result, want[job])
		}
	}
}
