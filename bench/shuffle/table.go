package shuffle

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"weft/bench/summary"
)

// figure is one that is compared; less is better.
type figure func(Record) float64

func write(r Record) float64     { return r.Write }
func read(r Record) float64      { return r.Read }
func total(r Record) float64     { return r.Total }
func fetchWait(r Record) float64 { return r.FetchWait }
func cpu(r Record) float64       { return r.CPU }

// Ratio is a median over the rounds, and its extremes.
type Ratio struct{ Median, Min, Max float64 }

// ratio is stock Spark's figure over the implementation's, within each round; ok is false where there is none.
func ratio(rs []Record, job, impl string, f figure) (out Ratio, ok bool) {
	var vs []float64
	for _, r := range rs {
		stock := find(rs, job, "stock", r.Round)
		if r.Job == job && r.Impl == impl && r.Failure == "" && stock != nil && f(r) > 0 && f(*stock) > 0 {
			vs = append(vs, f(*stock)/f(r))
		}
	}
	if len(vs) == 0 {
		return Ratio{}, false
	}
	return Ratio(summary.Of(vs)), true
}

func find(rs []Record, job, impl string, round int) *Record {
	i := slices.IndexFunc(rs, func(r Record) bool { return r.Job == job && r.Impl == impl && r.Round == round && r.Failure == "" })
	if i < 0 {
		return nil
	}
	return &rs[i]
}

// WriteTable prints the medians over the rounds, the ratios to stock Spark, and what failed.
func WriteTable(w io.Writer, rs []Record) error {
	if len(rs) == 0 {
		return nil
	}
	executors := 0
	local := false
	for _, r := range rs {
		executors = max(executors, r.Executors)
		local = local || r.Impl == Local
	}
	fmt.Fprintf(w, "Spark %s, %d executors, link %s. Medians over the rounds; (ratios): stock Spark's time over weft's in the same round,\n"+
		"median and extremes, above 1 where weft is faster.\n", rs[0].Spark, executors, rs[0].Link)
	if local {
		fmt.Fprintln(w, "local: stock Spark with all cores in one executor, so that nothing is another host's.")
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "job\tmaps x reduces\tMB\timpl\trounds\twrite s\tread s\ttotal s\tfetch wait s\tCPU s\tremote blocks\tMB by weft\tMB by Netty\t")
	var ratios []string
	seen := map[[2]string]bool{}
	for _, first := range rs {
		if seen[[2]string{first.Job, first.Impl}] {
			continue
		}
		seen[[2]string{first.Job, first.Impl}] = true
		var of []Record
		for _, r := range rs {
			if r.Job == first.Job && r.Impl == first.Impl && r.Failure == "" {
				of = append(of, r)
			}
		}
		fmt.Fprintf(t, "%s\t%dx%d\t%.0f\t%s\t%d\t", first.Job, first.Maps, first.Reduces, float64(first.Bytes())/1e6, first.Impl, len(of))
		if len(of) == 0 {
			fmt.Fprintln(t, "failed\t\t\t\t\t\t\t\t")
			continue
		}
		m := func(f figure) float64 { return medianOf(of, f) }
		fmt.Fprintf(t, "%.2f\t%.2f\t%.2f\t%.2f\t%.1f\t%.0f\t%.1f\t%.1f\t\n", m(write), m(read), m(total), m(fetchWait), m(cpu),
			m(func(r Record) float64 { return float64(r.RemoteBlocks) }), m(func(r Record) float64 { return float64(r.BytesWeft) / 1e6 }),
			m(func(r Record) float64 { return float64(r.BytesNetty) / 1e6 }))
		if first.Impl != "stock" {
			ratios = append(ratios, ratioRow(rs, first.Job, first.Impl))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if len(ratios) > 0 {
		fmt.Fprintln(w)
		fmt.Fprintln(t, "job\timpl\twrite\tread\ttotal\tCPU\t")
		for _, row := range ratios {
			fmt.Fprintln(t, row)
		}
		if err := t.Flush(); err != nil {
			return err
		}
	}
	return writeFailures(w, rs)
}

func ratioRow(rs []Record, job, impl string) string {
	row := job + "\t" + impl + "\t"
	for _, f := range []figure{write, read, total, cpu} {
		if r, ok := ratio(rs, job, impl, f); ok {
			row += fmt.Sprintf("%.2f (%.2f..%.2f)\t", r.Median, r.Min, r.Max)
		} else {
			row += "-\t"
		}
	}
	return row
}

func writeFailures(w io.Writer, rs []Record) error {
	for _, r := range rs {
		if r.Failure != "" {
			if _, err := fmt.Fprintf(w, "\nFAILED: round %d, %s by %s: %s", r.Round, r.Job, r.Impl, r.Failure); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

func medianOf(rs []Record, f figure) float64 {
	vs := make([]float64, len(rs))
	for i, r := range rs {
		vs[i] = f(r)
	}
	return summary.Median(vs)
}

// WriteGoBench prints every run in the Go benchmark format; an operation is the job.
func WriteGoBench(w io.Writer, rs []Record) error {
	for _, r := range rs {
		if r.Failure != "" {
			continue
		}
		if _, err := fmt.Fprintf(w, "BenchmarkShuffle/job=%s/impl=%s/maps=%d/reduces=%d/records=%d/record=%d \t1\t%.0f ns/op\t%.3f write-s\t%.3f read-s\t"+
			"%.3f fetch-wait-s\t%.2f cpu-s\n",
			r.Job, r.Impl, r.Maps, r.Reduces, r.Records, r.RecordBytes, r.Total*1e9, r.Write, r.Read, r.FetchWait, r.CPU); err != nil {
			return err
		}
	}
	return nil
}
