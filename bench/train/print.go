package train

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"weft/bench/result"
)

// Figures whose ratios to stock are shown. All are times, so that above 1 is faster than stock.
var figures = []struct {
	Name string
	Of   func(result.Run) float64
}{
	{"get weights + aggregate gradient", func(r result.Run) float64 { return r.Median(communication) }},
	{"iteration", func(r result.Run) float64 {
		return r.Median(func(i result.Iteration) float64 { return i.Seconds })
	}},
	{"end to end", func(r result.Run) float64 { return r.Seconds }},
}

func communication(i result.Iteration) float64 { return i.GetWeightsSeconds + i.AggregateSeconds }

// Failed counts the runs that gave no result.
func Failed(runs []result.Run) (n int) {
	for _, r := range runs {
		if r.Failure != "" {
			n++
		}
	}
	return n
}

// WriteTable prints a line for each run, and the ratios to stock of each comparison.
func WriteTable(w io.Writer, runs []result.Run) error {
	runs = slices.SortedStableFunc(slices.Values(runs), result.Compare)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	var arm result.Config
	for i, r := range runs {
		if a := r.Arm(); i == 0 || a != arm {
			arm = a
			fmt.Fprintf(t, "\n%s on Spark %s, link %s, %d executors of %d core(s), batch %d, %s\n", r.Model, r.Spark, r.Link, r.Executors, r.Cores, r.Batch, r.Data)
			if r.Sampled != "" {
				fmt.Fprintf(t, "resources were sampled on %s alone; n/a: not available on a cluster\n", r.Sampled)
			}
			fmt.Fprintln(t, "impl\trepeat\tdevice\titeration\tcompute\tget weights\taggregate\tend to end\tCPU\taccuracy\tby weft\tof these by RDMA\tby Netty\tfell back\tlook-ups at the driver")
		}
		writeRun(t, r)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	return writeRatios(w, runs)
}

func writeRun(w io.Writer, r result.Run) {
	if r.Failure != "" {
		fmt.Fprintf(w, "%s\t%d\tFAILED: %s\n", r.Impl, r.Repeat, r.Failure)
		return
	}
	row := r.Row()
	figure := func(name, text string) string {
		if r.Lacks(name) {
			return "n/a"
		}
		return text
	}
	megabytes := func(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/1e6) }
	accuracy, netty, lookups := "-", megabytes(r.BytesNetty), fmt.Sprintf("%d of %d", r.DriverLookups, r.DriverLookups+r.CachedLookups)
	if row.Accuracy != nil {
		accuracy = fmt.Sprintf("%.3f", *row.Accuracy)
	}
	if r.Impl == Stock {
		netty, lookups = figure("bytes_netty", netty+" (all traffic)"), "all"
	}
	compute := r.Median(func(i result.Iteration) float64 { return i.ComputeSeconds })
	fmt.Fprintf(w, "%s\t%d\t%s\t%.3f s\t%.3f s\t%.4f s\t%.4f s\t%.1f s\t%s\t%s\t%s\t%s\t%s\t%d blocks\t%s\n", r.Impl, r.Repeat, cmp.Or(r.Device, "-"), row.IterationSeconds,
		compute, row.GetWeightsSeconds, row.AggregateGradientSeconds, r.Seconds, figure("cpu_s", fmt.Sprintf("%.1f s", r.CPUSeconds)), accuracy,
		megabytes(r.BytesWeft), megabytes(r.BytesRDMA), netty, r.Fallbacks, lookups)
}

func writeRatios(w io.Writer, runs []result.Run) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nTimes faster than stock: median over repeats (least to most)\t")
	for _, f := range figures {
		for _, r := range result.Ratios(runs, f.Of) {
			name := fmt.Sprintf("%s, batch %d, %d executors, link %s, %s", r.Arm.Model, r.Arm.Batch, r.Arm.Executors, r.Arm.Link, r.Impl)
			value := cmp.Or(r.Why, "no pair of runs")
			switch {
			case r.Pairs == 1:
				value = fmt.Sprintf("%.2f (one pair)", r.Median)
			case r.Pairs > 1:
				value = fmt.Sprintf("%.2f (%.2f to %.2f, %d pairs)", r.Median, r.Min, r.Max, r.Pairs)
			}
			fmt.Fprintf(t, "  %s\t%s\t%s\n", f.Name, name, value)
		}
	}
	return t.Flush()
}
