// Package rdma is the benchmark of READs: weft's connections (shuffle/rdma) beside perftest and a bare C loop over libibverbs, on the same
// link in interleaved rounds of one run. It compares within a run, and refuses to compare runs, to measure Spark or to judge a device.
package rdma

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"weft/bench/summary"
)

// The implementations that are compared.
const (
	Weft     = "weft"
	Perftest = "perftest"
	CLoop    = "cloop"
)

// Record is one row of build/bench/rdma.json: one implementation at one block size, with depth READs in flight. GB are 1e9 bytes; what an
// implementation does not measure is left out.
type Record struct {
	Impl        string  `json:"impl"`
	BlockBytes  int     `json:"block_bytes"`
	Depth       int     `json:"depth"`
	GBPerS      float64 `json:"gb_per_s"`
	P50us       float64 `json:"p50_us,omitempty"` // from posting a READ to its completion
	P99us       float64 `json:"p99_us,omitempty"`
	CPUSecPerGB float64 `json:"cpu_s_per_gb,omitempty"` // of both ends' processes, perftest's and cloop's with their start; not of soft-RoCE's threads in the kernel
}

type key struct {
	impl         string
	block, depth int
}

func (r Record) key() key { return key{r.Impl, r.BlockBytes, r.Depth} }

// Medians reduces the rounds to one record per row: the median of each figure by itself.
func Medians(rounds [][]Record) []Record {
	rows := map[key][]Record{}
	var order []key
	for _, rs := range rounds {
		for _, r := range rs {
			if rows[r.key()] == nil {
				order = append(order, r.key())
			}
			rows[r.key()] = append(rows[r.key()], r)
		}
	}
	slices.SortStableFunc(order, func(a, b key) int { return cmp.Or(cmp.Compare(a.block, b.block), cmp.Compare(a.depth, b.depth)) })
	var out []Record
	for _, k := range order {
		m := rows[k][0]
		for _, f := range figures {
			var vs []float64
			for i := range rows[k] {
				vs = append(vs, *f(&rows[k][i]))
			}
			*f(&m) = summary.Median(vs)
		}
		out = append(out, m)
	}
	return out
}

var figures = []func(*Record) *float64{
	func(r *Record) *float64 { return &r.GBPerS }, func(r *Record) *float64 { return &r.P50us },
	func(r *Record) *float64 { return &r.P99us }, func(r *Record) *float64 { return &r.CPUSecPerGB },
}

// Ratio compares weft with another implementation in one row: medians over the rounds of the ratio within a round, and their extremes.
type Ratio struct {
	To                string
	BlockBytes, Depth int
	GBPerS, P50       summary.Spread // P50 is zero where the other has none
}

// Ratios returns weft's figures over those of the others, row by row.
func Ratios(rounds [][]Record) []Ratio {
	var out []Ratio
	for _, m := range Medians(rounds) {
		if m.Impl == Weft {
			continue
		}
		var rates, p50s []float64
		for _, rs := range rounds {
			other, weft := find(rs, m.key()), find(rs, key{Weft, m.BlockBytes, m.Depth})
			if other == nil || weft == nil {
				continue
			}
			rates = append(rates, weft.GBPerS/other.GBPerS)
			if other.P50us > 0 {
				p50s = append(p50s, weft.P50us/other.P50us)
			}
		}
		out = append(out, Ratio{m.Impl, m.BlockBytes, m.Depth, summary.Of(rates), summary.Of(p50s)})
	}
	return out
}

func find(rs []Record, k key) *Record {
	for i := range rs {
		if rs[i].key() == k {
			return &rs[i]
		}
	}
	return nil
}

// WriteTable prints the medians, with weft's ratio beside each other implementation.
func WriteTable(w io.Writer, rounds [][]Record) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "block\tin flight\timpl\tGB/s\tp50 µs\tp99 µs\tCPU s/GB\tGB/s weft to it (min..max)\tp50 weft to it (min..max)\t")
	ratios := Ratios(rounds)
	for _, m := range Medians(rounds) {
		var rate, p50 string
		for _, r := range ratios {
			if r.To == m.Impl && r.BlockBytes == m.BlockBytes && r.Depth == m.Depth {
				rate, p50 = r.GBPerS.String(), r.P50.String()
			}
		}
		fmt.Fprintf(t, "%d\t%d\t%s\t%.4f\t%s\t%s\t%s\t%s\t%s\t\n", m.BlockBytes, m.Depth, m.Impl, m.GBPerS, figure("%.1f", m.P50us),
			figure("%.1f", m.P99us), figure("%.2f", m.CPUSecPerGB), rate, p50)
	}
	return t.Flush()
}

func figure(format string, v float64) string {
	if v == 0 {
		return "–"
	}
	return fmt.Sprintf(format, v)
}
