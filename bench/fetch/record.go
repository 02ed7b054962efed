// Package fetch is the block-fetch benchmark: Spark's BlockStoreClient.fetchBlocks between two hosts, stock Netty beside weft
// beside the raw limit, in interleaved rounds of one run. It compares within a run and refuses to compare runs.
package fetch

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"weft/bench/summary"
)

// Record is one row of build/bench/fetch.json: one implementation at one block size and request size. GB are 1e9 bytes.
type Record struct {
	Impl            string  `json:"impl"` // netty, weft or raw
	Transport       string  `json:"transport"`
	From            string  `json:"from"` // "map output": by fetchBlocks; "memory" of the owner: by fetchBlockSync, into a heap array
	BlockBytes      int     `json:"block_bytes"`
	RequestBlocks   int     `json:"request_blocks"`
	GBPerS          float64 `json:"gb_per_s"`
	BlocksPerS      float64 `json:"blocks_per_s"`
	P50us           float64 `json:"p50_us"` // of a request
	P99us           float64 `json:"p99_us"`
	CPUSecPerGB     float64 `json:"cpu_s_per_gb"`                   // of all executors and daemons
	CheckedCPU      float64 `json:"checked_cpu_s_per_gb,omitempty"` // of raw, where it computes a CRC32C of what arrives
	JVMAllocPerByte float64 `json:"jvm_alloc_per_byte"`             // heap bytes of the reading JVM per byte fetched
}

type row struct {
	impl, from    string
	block, blocks int
}

func (r Record) row() row { return row{r.Impl, r.From, r.BlockBytes, r.RequestBlocks} }

// ParseRecords reads one JSON record a line, as the Java side writes them.
func ParseRecords(b []byte) ([]Record, error) {
	var rs []Record
	for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
		var r Record
		if err := json.Unmarshal(s.Bytes(), &r); err != nil {
			return nil, fmt.Errorf("record %q: %w", s.Text(), err)
		}
		rs = append(rs, r)
	}
	return rs, nil
}

// Medians reduces the rounds to one record per row: the median of each figure by itself.
func Medians(rounds [][]Record) []Record {
	byRow := map[row][]Record{}
	var order []row
	for _, rs := range rounds {
		for _, r := range rs {
			if byRow[r.row()] == nil {
				order = append(order, r.row())
			}
			byRow[r.row()] = append(byRow[r.row()], r)
		}
	}
	slices.SortFunc(order, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.block, b.block), cmp.Compare(a.from, b.from), cmp.Compare(a.blocks, b.blocks), cmp.Compare(a.impl, b.impl))
	})
	var out []Record
	for _, k := range order {
		rs := byRow[k]
		m := rs[0]
		for _, f := range []func(*Record) *float64{
			func(r *Record) *float64 { return &r.GBPerS }, func(r *Record) *float64 { return &r.BlocksPerS },
			func(r *Record) *float64 { return &r.P50us }, func(r *Record) *float64 { return &r.P99us },
			func(r *Record) *float64 { return &r.CPUSecPerGB }, func(r *Record) *float64 { return &r.JVMAllocPerByte },
		} {
			vs := make([]float64, len(rs))
			for i := range rs {
				vs[i] = *f(&rs[i])
			}
			*f(&m) = summary.Median(vs)
		}
		out = append(out, m)
	}
	return out
}

// WriteGoBench prints every record of every round in the Go benchmark format (benchstat reads it).
func WriteGoBench(w io.Writer, rounds [][]Record) error {
	for _, rs := range rounds {
		for _, r := range rs {
			if _, err := fmt.Fprintf(w, "BenchmarkFetch/impl=%s/from=%s/block=%d/request=%d \t1\t%.0f ns/op\t%.1f MB/s\t%.1f blocks/s\t%.1f p50-us\t%.1f p99-us\t%.4f cpu-s/GB\t%.6f alloc-B/B\n",
				r.Impl, strings.ReplaceAll(r.From, " ", "-"), r.BlockBytes, r.RequestBlocks, float64(r.RequestBlocks)/r.BlocksPerS*1e9, r.GBPerS*1e3, r.BlocksPerS, r.P50us, r.P99us,
				r.CPUSecPerGB, r.JVMAllocPerByte); err != nil {
				return err
			}
		}
	}
	return nil
}
