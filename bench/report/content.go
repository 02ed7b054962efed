package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"weft/bench/result"
	"weft/bench/summary"
)

// content is what the page shows.
type content struct {
	Failed      int
	Published   []publishedValue
	Comparisons []comparison
	Sections    []section
	Model       section
	Runs        []tableRow
	Machines    []machine
}

// comparison is one table of ratios to stock, with the configurations of its arms.
type comparison struct {
	Label   string
	Impls   []string
	Figures []comparedFigure
	Conf    []confRow // keys that differ between the arms come first
}

type comparedFigure struct {
	Name  string
	Stock float64 // median over the repeats
	Of    []result.Ratio
}

type confRow struct {
	Key    string
	Values []string // stock's, then those of Impls
	Differ bool
}

func comparisons(gs []group) []comparison {
	var out []comparison
	for _, g := range gs {
		c := comparison{Label: label(g.key)}
		for _, r := range result.Ratios(g.runs, iteration) {
			c.Impls = append(c.Impls, r.Impl)
		}
		for _, what := range compared {
			var stock []float64
			for _, r := range good(g.runs) {
				if v := what.of(r); r.Impl == result.Stock && v > 0 {
					stock = append(stock, v)
				}
			}
			c.Figures = append(c.Figures, comparedFigure{what.Name, summary.Median(stock), result.Ratios(g.runs, what.of)})
		}
		c.Conf = conf(g.runs, append([]string{result.Stock}, c.Impls...))
		out = append(out, c)
	}
	return out
}

// conf is Spark's keys as given to the first run of each arm.
func conf(runs []result.Run, impls []string) []confRow {
	keys := map[string]bool{}
	of := map[string]map[string]string{}
	for _, r := range first(runs) {
		of[r.Impl] = r.Conf
		for k := range r.Conf {
			keys[k] = true
		}
	}
	var same, differ []confRow
	for _, k := range slices.Sorted(maps.Keys(keys)) {
		row := confRow{Key: k}
		for _, impl := range impls {
			row.Values = append(row.Values, of[impl][k])
		}
		if row.Differ = len(slices.Compact(slices.Clone(row.Values))) > 1; row.Differ {
			differ = append(differ, row)
		} else {
			same = append(same, row)
		}
	}
	return append(differ, same...)
}

// tableRow is a run with the figures of its row.
type tableRow struct {
	result.Run
	Iteration, GetWeights, Aggregate, Compute, LastEpoch float64
	Top1                                                 string
}

func table(runs []result.Run) []tableRow {
	var rows []tableRow
	for _, r := range runs {
		row := tableRow{r, iteration(r), getWeights(r), aggregate(r), compute(r), lastEpoch(r), "–"}
		if a := r.Accuracy(); a != nil {
			row.Top1 = fmt.Sprintf("%.3f", *a)
		}
		rows = append(rows, row)
	}
	return rows
}

// machine is a machine with one set of versions, and how many of the runs it was.
type machine struct {
	result.Machine
	Versions string
	Runs     int
}

func machines(runs []result.Run) []machine {
	var ms []machine
	for _, r := range runs {
		m := machine{Machine: r.Machine}
		for _, k := range sortedKeys(r.Versions) {
			m.Versions += k + " " + r.Versions[k] + "; "
		}
		i := slices.IndexFunc(ms, func(o machine) bool { return o.Machine == m.Machine && o.Versions == m.Versions })
		if i < 0 {
			i, ms = len(ms), append(ms, m)
		}
		ms[i].Runs++
	}
	return ms
}

// num prints three digits, and a dash for what was not seen.
func num(v float64) string {
	switch {
	case v == 0:
		return "–"
	case v >= 100:
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// ratio prints the median and the spread.
func ratio(r result.Ratio) string {
	if r.Pairs == 0 {
		return "– (" + cmp.Or(r.Why, "no pair") + ")"
	}
	return fmt.Sprintf("%.2f (%.2f..%.2f; %d)", r.Median, r.Min, r.Max, r.Pairs)
}

func mega(n int64) string {
	if n == 0 {
		return "–"
	}
	return num(float64(n) / 1e6)
}
