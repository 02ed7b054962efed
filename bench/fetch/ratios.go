package fetch

import (
	"fmt"
	"io"
	"text/tabwriter"

	"weft/bench/summary"
)

// Ratio compares weft with Netty in one row: the median over the rounds of the ratio within a round, and its extremes.
type Ratio struct {
	From                      string
	BlockBytes, RequestBlocks int
	Median, Min, Max          float64
}

// Ratios returns weft's blocks per second over Netty's, row by row, in the order of the last round.
func Ratios(rounds [][]Record) []Ratio {
	var out []Ratio
	for _, last := range rounds[len(rounds)-1] {
		if last.Impl != "weft" {
			continue
		}
		var vs []float64
		for _, rs := range rounds {
			w, n := find(rs, "weft", last), find(rs, "netty", last)
			if w != nil && n != nil {
				vs = append(vs, w.BlocksPerS/n.BlocksPerS)
			}
		}
		if len(vs) > 0 {
			s := summary.Of(vs)
			out = append(out, Ratio{last.From, last.BlockBytes, last.RequestBlocks, s.Median, s.Min, s.Max})
		}
	}
	return out
}

func find(rs []Record, impl string, like Record) *Record {
	for i := range rs {
		like.Impl = impl
		if rs[i].row() == like.row() {
			return &rs[i]
		}
	}
	return nil
}

// WriteTable prints the medians with weft's ratio to Netty.
func WriteTable(w io.Writer, rounds [][]Record) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "block\tfrom\tin request\timpl\tGB/s\tblocks/s\tp50 µs\tp99 µs\tCPU s/GB\talloc B/B\tto Netty (min..max)\t")
	ratios := Ratios(rounds)
	for _, m := range Medians(rounds) {
		ratio := ""
		for _, r := range ratios {
			if m.Impl == "weft" && r.From == m.From && r.BlockBytes == m.BlockBytes && r.RequestBlocks == m.RequestBlocks {
				ratio = fmt.Sprintf("%.2f (%.2f..%.2f)", r.Median, r.Min, r.Max)
			}
		}
		fmt.Fprintf(t, "%d\t%s\t%d\t%s\t%.3f\t%.0f\t%.0f\t%.0f\t%.2f\t%.4f\t%s\t\n",
			m.BlockBytes, m.From, m.RequestBlocks, m.Impl, m.GBPerS, m.BlocksPerS, m.P50us, m.P99us, m.CPUSecPerGB, m.JVMAllocPerByte, ratio)
	}
	return t.Flush()
}
