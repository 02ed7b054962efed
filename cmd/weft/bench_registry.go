//go:build !nobench

package main

import (
	"github.com/spf13/cobra"

	"weft/bench/registry"
)

func benchRegistryCommand() *cobra.Command {
	c := registry.Config{}
	var out string
	cmd := &cobra.Command{
		Use:   "registry",
		Short: "The registry of map outputs by itself: its memory, and the time to resolve a block range",
		Long: "Registers map outputs in a registry of its own, with files as Spark writes them (thousands are hard links of one pair, each of which is read by\n" +
			"itself), and resolves ranges of one partition and of ten as a daemon does for a peer, in requests of a hundred, each of another map output. A map output is warm while its index,\n" +
			"its checksums and its open data file are kept, closed when the file is not open any more, and cold when nothing but its paths is known: both files\n" +
			"are opened then, the index is read, and the range's checksum computed. Beside that stands what the system calls for it take by themselves.\n" +
			"Writes registry.json to --out. Needs no Spark and no root.",
		Example: "  weft bench registry\n  weft bench registry --map-outputs 10000 --rounds 1 --dir /dev/shm",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Progress = cmd.ErrOrStderr()
			r, err := registry.Run(cmd.Context(), c)
			if err != nil {
				return err
			}
			if err := r.Write(out); err != nil {
				return err
			}
			return r.WriteTable(cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.IntVar(&c.Outputs, "map-outputs", 100_000, "map outputs")
	f.IntVar(&c.Reducers, "reducers", 1000, "partitions of each, at most 1000")
	f.IntVar(&c.Rounds, "rounds", 5, "rounds; a result is the median over them")
	f.IntVar(&c.Ranges, "ranges", 20_000, "block ranges that are resolved for a row of a round; for warm ones five times as many")
	f.StringVar(&c.Dir, "dir", "", "folder for the files while it runs (default: $TMPDIR, else /tmp)")
	f.StringVar(&out, "out", "build/bench", "folder for the result")
	return cmd
}
