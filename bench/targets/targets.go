// Package targets holds what weft promises to reach on a machine beside what the benchmarks measured there. It reads their results, starts and
// measures nothing, and takes every ratio within a round.
package targets

import (
	"errors"
	"fmt"
	"path/filepath"

	"weft/bench/summary"
)

// Figure is one row of targets.json.
type Figure struct {
	Figure string    `json:"figure"`
	Target float64   `json:"target"`
	AtMost bool      `json:"at_most,omitempty"` // the target is a bound from above
	Value  *float64  `json:"value"`             // median over the rounds; nil: it was not measured
	Spread []float64 `json:"spread"`            // its smallest and largest; nil as Value
	OK     bool      `json:"ok"`                // Value meets Target
	Note   string    `json:"note,omitempty"`    // the limit that was measured in the same run
	Why    string    `json:"why,omitempty"`     // it was not measured
}

// target is a Figure before anything is known of it.
type target struct {
	figure string
	bound  float64
	atMost bool
}

// errNoRound tells that results are there, and no round of them has all that the figure is made of.
var errNoRound = errors.New("no round has measured it with the settings of the target")

// judge makes a Figure of its values in each round, or of why there are none.
func (t target) judge(values []float64, err error) Figure {
	f := Figure{Figure: t.figure, Target: t.bound, AtMost: t.atMost}
	if err == nil && len(values) == 0 {
		err = errNoRound
	}
	if err != nil {
		f.Why = err.Error()
		return f
	}
	s := summary.Of(values)
	f.Value, f.Spread = &s.Median, []float64{s.Min, s.Max}
	f.OK = s.Median >= t.bound
	if t.atMost {
		f.OK = s.Median <= t.bound
	}
	return f
}

// limit notes beside a figure what was measured of the best that the machine gives.
func limit(what string, f Figure) string {
	if f.Value == nil {
		return ""
	}
	return fmt.Sprintf("%s: %s (%s..%s)", what, number(*f.Value), number(f.Spread[0]), number(f.Spread[1]))
}

// Of computes all figures from the results in dir. Where a benchmark has left none, its figures say so.
func Of(dir string) (figures []Figure) {
	figures = append(figures, fetchFigures(dir)...)
	figures = append(figures, jobFigures(dir)...)
	figures = append(figures, rdmaFigures(dir)...)
	return append(figures, registryFigures(dir)...)
}

// Write writes targets.json to dir.
func Write(dir string, figures []Figure) error {
	return summary.WriteJSON(filepath.Join(dir, "targets.json"), figures)
}
