package model

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"text/tabwriter"

	"weft/bench/result"
	"weft/bench/summary"
)

// LoadRuns reads measured training runs, an array as in build/bench/train.json or one a line; failed ones are left out, and those over soft-RoCE.
func LoadRuns(file string) ([]result.Row, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rows []result.Row
	if b = bytes.TrimSpace(b); bytes.HasPrefix(b, []byte("[")) {
		err = json.Unmarshal(b, &rows)
	} else {
		for d := json.NewDecoder(bytes.NewReader(b)); err == nil; {
			var r result.Row
			if err = d.Decode(&r); err == nil {
				rows = append(rows, r)
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	rows = slices.DeleteFunc(rows, func(r result.Row) bool { return r.Failure != "" || r.IterationSeconds == 0 || r.OnSoftware() })
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s: no run in it to check the model with: each failed, has no iteration's time, or went over soft-RoCE", file)
	}
	return rows, nil
}

// odd says why a run's figures cannot be, "" where they can.
func odd(r result.Row) string {
	if r.Executors >= 1 && r.Batch >= 1 && r.IterationSeconds >= r.GetWeightsSeconds+r.AggregateGradientSeconds && min(r.GetWeightsSeconds, r.AggregateGradientSeconds) >= 0 {
		return ""
	}
	return fmt.Sprintf("left out, since it cannot be: %d executors, batch %d, an iteration of %v s with %v s and %v s in it",
		r.Executors, r.Batch, r.IterationSeconds, r.GetWeightsSeconds, r.AggregateGradientSeconds)
}

// Check is a figure of a measured run beside the model's.
type Check struct {
	Run      result.Row
	Figure   string
	Measured float64
	Model    float64
	HeldOut  bool   // the costs come from runs with 2 executors; all others are held out
	Why      string // there is no figure
}

// Error is the model's, in per cent.
func (c Check) Error() float64 { return 100 * (c.Model/c.Measured - 1) }

// group is the runs that share costs.
type group struct{ spark, impl, link string }

func groupOf(r result.Row) group { return group{r.Spark, r.Impl, r.Link} }

// CheckRuns fits the costs of each Spark, stack and link to its runs with 2 executors, and holds the model against all runs. All executors ran on one
// machine with so many cores, one core each as they saw it. What runs with 2 executors don't tell stays as in c. A run that the model can't be held
// against has a Check that says why.
func CheckRuns(c Costs, runs []result.Row, cores int) []Check {
	var checks []Check
	runs = slices.DeleteFunc(slices.Clone(runs), func(r result.Row) bool {
		why := odd(r)
		if why != "" {
			checks = append(checks, Check{Run: r, Why: why})
		}
		return why != ""
	})
	runs = medians(runs)
	fits := map[group][]result.Row{}
	for _, r := range runs {
		if r.Executors == 2 && c.has(r.Model, r.Impl) == nil && r.Cores <= 1 {
			fits[groupOf(r)] = append(fits[groupOf(r)], r)
		}
	}
	for _, r := range runs {
		if err := c.has(r.Model, r.Impl); err != nil {
			checks = append(checks, Check{Run: r, Why: err.Error()})
			continue
		}
		if r.Cores > 1 {
			checks = append(checks, Check{Run: r, Why: fmt.Sprintf("its executors have %d cores each, and the model's checks are for one", r.Cores)})
			continue
		}
		two := fits[groupOf(r)]
		if len(two) == 0 {
			checks = append(checks, Check{Run: r, Why: "there is no run of it with 2 executors to take costs from"})
			continue
		}
		f := c
		f.Cores, f.ComputeCores, f.sharedCores, f.Link, f.Oversubscription = 1, 1, cores, math.Inf(1), 1
		f = f.fit(two)
		it := iterate(f, setting{f.Models[r.Model], f.Transports[r.Impl], looksUp(r), r.Executors, float64(r.Batch) / float64(r.Executors)})
		add := func(figure string, measured, model float64) {
			if measured > 0 {
				checks = append(checks, Check{Run: r, Figure: figure, Measured: measured, Model: model, HeldOut: r.Executors != 2})
			}
		}
		add("iteration", r.IterationSeconds, it.Seconds)
		add("get weights", r.GetWeightsSeconds, it.getWeights)
		add("aggregate", r.AggregateGradientSeconds, it.aggregate)
	}
	return checks
}

// looksUp tells whether the run asked the driver for each block again. One that keeps the answers asks once for each.
func looksUp(r result.Row) bool {
	blocks := int64(2 * r.Executors * (r.Executors - 1))
	return r.Impl == "stock" || r.DriverLookups > 2*blocks
}

// fit takes from runs of one group with 2 executors what they tell: the transport's two costs and the sum's from BigDL's metrics, and from what they leave
// of the iteration the jobs' cost (of the shortest iteration, which is hardly anything else) and each other model's computing.
func (c Costs) fit(runs []result.Row) Costs {
	runs = slices.Clone(runs)
	c.Models, c.Transports = clone(c.Models), clone(c.Transports)
	slices.SortStableFunc(runs, func(a, b result.Row) int {
		return cmp.Compare(c.Models[a.Model].Parameters, c.Models[b.Model].Parameters)
	})
	block := func(r result.Row) float64 { return float64(c.Models[r.Model].Parameters) } // 2 bytes each, half of them
	lookup := 0.0
	if looksUp(runs[0]) {
		lookup = c.Driver.LookUp + c.Driver.LookUpService
	}
	small, large := runs[0], runs[len(runs)-1]
	t := c.Transports[small.Impl]
	if block(large) > block(small) && large.GetWeightsSeconds > small.GetWeightsSeconds {
		perByte := (large.GetWeightsSeconds - small.GetWeightsSeconds) / (block(large) - block(small))
		t.Rate = 8 / perByte / 1e9
		t.Fetch = max(0, small.GetWeightsSeconds-lookup-perByte*block(small))
	} else if rest := large.GetWeightsSeconds - lookup - t.Fetch; rest > 0 {
		t.Rate = 8 * block(large) / rest / 1e9
	}
	c.Transports[small.Impl] = t
	c.Sum = max(0, large.AggregateGradientSeconds-large.GetWeightsSeconds) / block(large)

	// What an iteration has beside the metrics and all costs that are known.
	rest := func(r result.Row, sample float64) float64 {
		m := c.Models[r.Model]
		params := float64(m.Parameters)
		return r.IterationSeconds - r.GetWeightsSeconds - r.AggregateGradientSeconds - params*c.Compress - params/2*c.Update - sample*float64(r.Batch)/2
	}
	least := slices.MinFunc(runs, func(a, b result.Row) int { return cmp.Compare(a.IterationSeconds, b.IterationSeconds) })
	jobs := 2 * (c.Driver.Job + 2*c.Driver.Task)
	if distinct(runs) > 1 {
		jobs = max(4*c.Driver.Task, rest(least, c.Models[least.Model].Sample))
		c.Driver.Job = jobs/2 - 2*c.Driver.Task
	}
	for _, r := range runs {
		m := c.Models[r.Model]
		var seconds, samples float64
		for _, o := range runs {
			if o.Model == r.Model {
				seconds, samples = seconds+rest(o, 0)-jobs, samples+float64(o.Batch)/2
			}
		}
		if m.Sample = max(0, seconds/samples); distinct(runs) > 1 && r.Model == least.Model {
			continue // its computing was taken as known
		}
		c.Models[r.Model] = m
	}
	return c
}

func distinct(runs []result.Row) int {
	models := map[string]bool{}
	for _, r := range runs {
		models[r.Model] = true
	}
	return len(models)
}

// medians makes one row of a run's repeats.
func medians(runs []result.Row) []result.Row {
	type key struct {
		group
		model, data             string
		executors, cores, batch int
	}
	byKey, order := map[key][]result.Row{}, []key{}
	for _, r := range runs {
		k := key{groupOf(r), r.Model, r.Data, r.Executors, r.Cores, r.Batch}
		if byKey[k] == nil {
			order = append(order, k)
		}
		byKey[k] = append(byKey[k], r)
	}
	var out []result.Row
	for _, k := range order {
		rows := byKey[k]
		median := func(f func(result.Row) float64) float64 {
			var vs []float64
			for _, r := range rows {
				vs = append(vs, f(r))
			}
			return summary.Median(vs)
		}
		m := rows[0]
		m.IterationSeconds = median(func(r result.Row) float64 { return r.IterationSeconds })
		m.GetWeightsSeconds = median(func(r result.Row) float64 { return r.GetWeightsSeconds })
		m.AggregateGradientSeconds = median(func(r result.Row) float64 { return r.AggregateGradientSeconds })
		out = append(out, m)
	}
	return out
}

// WriteChecks prints measured runs beside the model.
func WriteChecks(w io.Writer, checks []Check) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "model\tbatch\tSpark\tstack\tlink\texecutors\tfigure\tmeasured s\tmodel s\terror\t \t")
	for _, c := range checks {
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%d\t", c.Run.Model, c.Run.Batch, c.Run.Spark, c.Run.Impl, c.Run.Link, c.Run.Executors)
		switch {
		case c.Why != "":
			fmt.Fprintf(t, "\t\t\t\t%s\t\n", c.Why)
		case c.HeldOut:
			fmt.Fprintf(t, "%s\t%.4f\t%.4f\t%+.1f %%\theld out\t\n", c.Figure, c.Measured, c.Model, c.Error())
		default:
			fmt.Fprintf(t, "%s\t%.4f\t%.4f\t%+.1f %%\tcosts from it\t\n", c.Figure, c.Measured, c.Model, c.Error())
		}
	}
	return t.Flush()
}
