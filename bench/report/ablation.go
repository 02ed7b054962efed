package report

import (
	"cmp"
	"fmt"
	"image/color"
	"maps"
	"slices"

	"weft/bench/result"
	"weft/bench/summary"
)

// The figures of a run that are compared; 0 where a run has none.
func iteration(r result.Run) float64 {
	return r.Median(func(i result.Iteration) float64 { return i.Seconds })
}

func communication(r result.Run) float64 {
	return r.Median(func(i result.Iteration) float64 { return i.GetWeightsSeconds + i.AggregateSeconds })
}

func getWeights(r result.Run) float64 {
	return r.Median(func(i result.Iteration) float64 { return i.GetWeightsSeconds })
}

func aggregate(r result.Run) float64 {
	return r.Median(func(i result.Iteration) float64 { return i.AggregateSeconds })
}

func compute(r result.Run) float64 {
	return r.Median(func(i result.Iteration) float64 { return i.ComputeSeconds })
}

func lastEpoch(r result.Run) float64 {
	if len(r.Epochs) == 0 {
		return 0
	}
	return r.Epochs[len(r.Epochs)-1].End
}

// toTarget is when the accuracy that the study trained to was reached, at the end of an epoch.
func toTarget(r result.Run) float64 {
	for _, e := range r.Epochs {
		if e.Accuracy != nil && *e.Accuracy >= target {
			return e.End
		}
	}
	return 0
}

var compared = []struct {
	Name string
	of   func(result.Run) float64
}{
	{"get weights + aggregate gradient", communication},
	{"get weights", getWeights},
	{"aggregate gradient", aggregate},
	{"iteration", iteration},
	{"end of the last epoch", lastEpoch},
	{fmt.Sprintf("%.0f %% accuracy", 100*target), toTarget},
	{"whole run", func(r result.Run) float64 { return r.Seconds }},
	{"CPU", func(r result.Run) float64 { return r.CPUSeconds }},
}

// ablationSection draws where an iteration's time goes, by transport and link.
func ablationSection(runs []result.Run) (section, error) {
	s := section{Title: "Ablation by transport", Text: "Where the time of an iteration goes: medians over the iterations but the first, then over the repeats. " +
		"Rest is what the iteration took beyond the three: Spark's two jobs, putting gradients, updating weights."}
	gs := groupBy(good(runs), func(c result.Config) result.Config {
		c = c.Arm()
		c.Link = ""
		return c
	})
	for i, g := range gs {
		var bs []bar
		for _, arm := range groupBy(g.runs, func(c result.Config) result.Config { c.Repeat = 0; return c }) {
			median := func(of func(result.Run) float64) float64 {
				var vs []float64
				for _, r := range arm.runs {
					vs = append(vs, of(r))
				}
				return summary.Median(vs)
			}
			parts := []float64{median(getWeights), median(aggregate), median(compute)}
			whole := median(iteration)
			if whole == 0 {
				continue
			}
			parts = append(parts, max(0, whole-parts[0]-parts[1]-parts[2]))
			bs = append(bs, bar{label: arm.runs[0].Name() + ", " + linkLabel(arm.key.Link), parts: parts, colors: []color.Color{palette[0], palette[1], palette[4], grey}})
		}
		if len(bs) == 0 {
			continue
		}
		slices.SortStableFunc(bs, func(a, b bar) int { return cmp.Compare(a.label, b.label) })
		k := g.key
		p, err := bars("seconds of an iteration", bs, []string{"get weights", "aggregate gradient", "compute", "rest"})
		if err := s.add(fmt.Sprintf("ablation-%d", i+1), "An iteration by transport",
			fmt.Sprintf("%s, Spark %s, %d x %d cores, batch %d, %s", k.Model, k.Spark, k.Executors, k.Cores, k.Batch, k.Data), p, err); err != nil {
			return s, err
		}
	}
	return s, nil
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
