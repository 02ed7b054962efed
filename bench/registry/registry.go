// Package registry is the benchmark of the registry of map outputs (weft/shuffle) by itself: the memory that it holds for many of them, and how
// long it takes to resolve a block range. It uses the registry in its own process, with files as Spark writes them, and refuses to
// measure what comes after it: sessions, connections, and the bytes of blocks.
package registry

import (
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"

	"weft/bench/summary"
)

// Config is one run of the benchmark.
type Config struct {
	Outputs  int    // map outputs
	Reducers int    // partitions of each
	Rounds   int    // each of which measures every row
	Ranges   int    // block ranges that are resolved for a row; for warm ones five times as many
	Dir      string // where the files lie while it runs: 16 KiB of hard links for each thousand outputs beside a few pairs of files
	Progress io.Writer
}

// Result is what registry.json holds. Bytes are those of the Go heap after a collection.
type Result struct {
	Outputs    int   `json:"map_outputs"`
	Reducers   int   `json:"reducers"`
	StateBytes int64 `json:"state_bytes"` // when all were registered, and no block had been asked for
	TotalBytes int64 `json:"total_bytes"` // when blocks of all of them had been resolved: with layouts, checksums and open files
	PerOutput  int64 `json:"bytes_per_output"`
	Resolve    []Row `json:"resolve"`

	FilesAlone []float64 `json:"files_alone_us"` // of each round: what the system calls for a cold map output take by themselves
}

// Row is the time to resolve one block range, in requests of a hundred.
type Row struct {
	Range  string    `json:"range"`  // the block's name, of one partition or of rangeWidth
	Layout string    `json:"layout"` // what is known of the map output: see the constants
	Micros []float64 `json:"us"`     // for one range, of each round
}

// What the registry has of a map output when a block of it is asked for.
const (
	Warm   = "warm"   // its index and checksums in memory, its data file open
	Closed = "closed" // its index and checksums in memory
	Cold   = "cold"   // nothing but where its files are
)

// The names of block ranges: one partition, and neighbours that Spark asks for at once.
const (
	OnePartition = "shuffle_S_M_R"
	Partitions   = "shuffle_S_M_Rstart_Rend"
)

// Write writes registry.json to dir.
func (r Result) Write(dir string) error {
	return summary.WriteJSON(filepath.Join(dir, "registry.json"), r)
}

// WriteTable prints it.
func (r Result) WriteTable(w io.Writer) error {
	const mib = 1 << 20
	fmt.Fprintf(w, "%d map outputs of %d partitions: %.1f MiB when registered, %.1f MiB when blocks of all had been resolved (%d bytes for each)\n\n",
		r.Outputs, r.Reducers, float64(r.StateBytes)/mib, float64(r.TotalBytes)/mib, r.PerOutput)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "range\tlayout\tµs (min..max)\t")
	for _, row := range r.Resolve {
		fmt.Fprintf(t, "%s\t%s\t%v\t\n", row.Range, row.Layout, summary.Of(row.Micros))
	}
	fmt.Fprintf(t, "files alone\tcold\t%v\t\n", summary.Of(r.FilesAlone))
	return t.Flush()
}
