// Package summary says what the rounds of a benchmark gave together, and keeps results in files. It refuses to know what was measured.
package summary

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Median is 0 of no values.
func Median(values []float64) float64 {
	n := len(values)
	if n == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Spread is a median with its extremes.
type Spread struct{ Median, Min, Max float64 }

// Of is the zero Spread of no values.
func Of(values []float64) Spread {
	if len(values) == 0 {
		return Spread{}
	}
	return Spread{Median(values), slices.Min(values), slices.Max(values)}
}

func (s Spread) String() string {
	if s.Median == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f (%.2f..%.2f)", s.Median, s.Min, s.Max)
}

// WriteJSON writes a result, and makes its folder where there is none. The file is whole or as it was before, also when the run is interrupted.
func WriteJSON(path string, result any) error {
	b, err := json.MarshalIndent(result, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".part", append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".part", path)
}
