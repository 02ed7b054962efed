package sample

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"weft/bench/result"
)

// Windows averages samples over windows of so many seconds, which begin at multiples of them; a sample of the result is at its window's
// beginning. What was not there at a time at which others were (a role without processes) counts as 0 then.
func Windows(samples []result.Sample, seconds float64) []result.Sample {
	times := map[float64]map[float64]bool{} // of the samples in a window, by its beginning
	sums := map[result.Sample]float64{}
	for _, s := range samples {
		at, value := s.At, s.Value
		s.At, s.Value = math.Floor(at/seconds)*seconds, 0
		if times[s.At] == nil {
			times[s.At] = map[float64]bool{}
		}
		times[s.At][at] = true
		sums[s] += value
	}
	var windows []result.Sample
	for _, w := range slices.SortedFunc(maps.Keys(sums), func(a, b result.Sample) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Name, b.Name), cmp.Compare(a.Host, b.Host), cmp.Compare(a.Of, b.Of))
	}) {
		w.Value = sums[w] / float64(len(times[w.At]))
		windows = append(windows, w)
	}
	return windows
}
