package result

import (
	"cmp"
	"slices"

	"weft/bench/summary"
)

// Stock is the Impl that others are compared with.
const Stock = "stock"

// Ratio compares an implementation with stock Spark: how many times a figure of stock is that of the implementation, so that for times
// above 1 is faster than stock. It is taken within a repeat, as the machine changes from one to the next.
type Ratio struct {
	Arm              Config
	Impl             string
	Median, Min, Max float64 // over the pairs; 0 without any
	Pairs            int     // repeats in which both ran
	Why              string  // there is none, though both ran
}

// Ratios compares every implementation in each comparison with stock, in the order of Compare. A run that failed, or where the figure is 0,
// has no pair, and none has one whose device is software.
func Ratios(runs []Run, figure func(Run) float64) []Ratio {
	stock := map[Config]float64{}
	for _, r := range runs {
		if r.Impl == Stock && r.Failure == "" {
			stock[r.Config] = figure(r)
		}
	}
	type comparison struct {
		arm  Config
		impl string
	}
	ratios, why := map[comparison][]float64{}, map[comparison]string{}
	for _, r := range runs {
		if r.Impl == Stock {
			continue
		}
		k, base := comparison{r.Arm(), r.Impl}, r.Config
		base.Impl = Stock
		var found []float64
		if r.OnSoftware() {
			why[k] = WhyNoRatio
		} else if s, v := stock[base], figure(r); r.Failure == "" && s > 0 && v > 0 {
			found = []float64{s / v}
		}
		ratios[k] = append(ratios[k], found...)
	}
	var out []Ratio
	for k, vs := range ratios {
		s := summary.Of(vs)
		out = append(out, Ratio{Arm: k.arm, Impl: k.impl, Median: s.Median, Min: s.Min, Max: s.Max, Pairs: len(vs), Why: why[k]})
	}
	slices.SortFunc(out, func(a, b Ratio) int {
		return cmp.Or(Compare(Run{Config: a.Arm}, Run{Config: b.Arm}), cmp.Compare(a.Arm.ID(), b.Arm.ID()), cmp.Compare(a.Impl, b.Impl))
	})
	return out
}
