// Package parquet keeps training runs as tables in Parquet files, for pandas and its like: docs/results-format.md. Every table has the
// configuration of the run in each row. It adds nothing to what package result holds, but for the averages over windows.
package parquet

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"

	"weft/bench/result"
	"weft/bench/sample"
)

// WindowSeconds is the length of the windows in windows.parquet.
const WindowSeconds = 60

// What a row of each table holds. Columns are named by the json tags; lists are left out, as they are tables of their own.
type (
	runRow struct {
		ID string `json:"run"`
		result.Run
	}
	iterationRow struct {
		ID string `json:"run"`
		result.Config
		result.Iteration
	}
	epochRow struct {
		ID string `json:"run"`
		result.Config
		result.Epoch
	}
	sampleRow struct {
		ID string `json:"run"`
		result.Config
		result.Sample
	}
)

// Write writes runs, iterations, epochs, samples and windows, each with .parquet behind it, to dir. A file is whole or as it was.
func Write(dir string, runs []result.Run) error {
	var rs []runRow
	var is []iterationRow
	var es []epochRow
	var ss, ws []sampleRow
	for _, r := range runs {
		id := r.ID()
		rs = append(rs, runRow{id, r})
		for _, x := range r.Iterations {
			is = append(is, iterationRow{id, r.Config, x})
		}
		for _, x := range r.Epochs {
			es = append(es, epochRow{id, r.Config, x})
		}
		for _, x := range r.Samples {
			ss = append(ss, sampleRow{id, r.Config, x})
		}
		for _, x := range sample.Windows(r.Samples, WindowSeconds) {
			ws = append(ws, sampleRow{id, r.Config, x})
		}
	}
	for _, t := range []struct {
		name  string
		write func(name string) error
	}{
		{"runs", func(n string) error { return writeFile(n, rs) }},
		{"iterations", func(n string) error { return writeFile(n, is) }},
		{"epochs", func(n string) error { return writeFile(n, es) }},
		{"samples", func(n string) error { return writeFile(n, ss) }},
		{"windows", func(n string) error { return writeFile(n, ws) }},
	} {
		name := filepath.Join(dir, t.name+".parquet")
		if err := t.write(name + ".tmp"); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := os.Rename(name+".tmp", name); err != nil {
			return err
		}
	}
	return nil
}

// Read gives the runs that Write wrote to dir, in its order.
func Read(dir string) ([]result.Run, error) {
	rs, err := readFile[runRow](filepath.Join(dir, "runs.parquet"))
	if err != nil {
		return nil, err
	}
	is, err := readFile[iterationRow](filepath.Join(dir, "iterations.parquet"))
	if err != nil {
		return nil, err
	}
	es, err := readFile[epochRow](filepath.Join(dir, "epochs.parquet"))
	if err != nil {
		return nil, err
	}
	ss, err := readFile[sampleRow](filepath.Join(dir, "samples.parquet"))
	if err != nil {
		return nil, err
	}
	runs := make([]result.Run, len(rs))
	of := map[string]*result.Run{}
	for i, r := range rs {
		runs[i] = r.Run
		of[r.ID] = &runs[i]
	}
	lost := &result.Run{} // takes rows of runs that are not there
	run := func(id string) *result.Run { return cmp.Or(of[id], lost) }
	for _, x := range is {
		r := run(x.ID)
		r.Iterations = append(r.Iterations, x.Iteration)
	}
	for _, x := range es {
		r := run(x.ID)
		r.Epochs = append(r.Epochs, x.Epoch)
	}
	for _, x := range ss {
		r := run(x.ID)
		r.Samples = append(r.Samples, x.Sample)
	}
	if n := len(lost.Iterations) + len(lost.Epochs) + len(lost.Samples); n > 0 {
		return nil, fmt.Errorf("%s: %d rows are of runs that runs.parquet lacks", dir, n)
	}
	return runs, nil
}
