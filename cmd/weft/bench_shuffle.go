//go:build !nobench

package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weft/bench/shuffle"
)

func benchShuffleCommand() *cobra.Command {
	c := shuffle.Config{}
	cmd := &cobra.Command{
		Use:   "shuffle",
		Short: "Whole shuffles on Spark: GroupBy, SortBy, TeraSort and many small blocks, stock beside weft",
		Long: "Starts two or three hosts (network namespaces) with a Spark executor of one core each (local: one with all cores), and runs jobs that do\n" +
			"little but shuffle: stock Spark and weft in turns, in rounds. Each run is an application of its own that makes its input, runs the job\n" +
			"once to warm up, and then measures it. Results have to be equal. Prints the medians and the ratios to stock Spark, and writes shuffle.json\n" +
			"(every run) and shuffle.txt (Go benchmark format) to --out. A run that fails is shown as failed, and the others go on; the exit status\n" +
			"is 1 then.\n\n" +
			"Sizes that are not given are the job's own; docs/benchmarks.md has them, and what the jobs do.\n\n" +
			"Needs root and a source tree with weft built; run it there, or by 'make bench-shuffle'.",
		Example: "  weft bench shuffle\n  weft bench shuffle --job terasort --records 1000000 --rounds 5\n" +
			"  weft bench shuffle --job groupby,sortby --rate 1gbit --delay 100us --out build/bench/shaped\n  weft bench shuffle --resume",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Progress = cmd.ErrOrStderr()
			rs, err := shuffle.Run(cmd.Context(), c)
			if tableErr := shuffle.WriteTable(cmd.OutOrStdout(), rs); err != nil || tableErr != nil {
				return err
			}
			failed := 0
			for _, r := range rs {
				if r.Failure != "" {
					failed++
				}
			}
			if failed > 0 {
				return fmt.Errorf("%d of %d runs failed", failed, len(rs))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Root, "root", ".", "source tree of weft: its scripts and its build folder are used")
	f.StringVar(&c.Spark, "spark", "3.5.9", "version of Spark")
	f.StringVar(&c.Out, "out", "build/bench", "folder for the results")
	f.StringSliceVar(&c.Jobs, "job", shuffle.Jobs(), "jobs")
	f.StringSliceVar(&c.Impls, "impl", []string{"stock", "weft-tcp"}, "implementations, of "+strings.Join(shuffle.Impls(), ", ")+
		"; local: stock with all cores in one executor, where nothing is fetched from another host")
	f.IntVar(&c.Size.Maps, "maps", 0, "map tasks of every job (default: the job's own)")
	f.IntVar(&c.Size.Reduces, "reduces", 0, "reduce tasks of every job (default: the job's own)")
	f.IntVar(&c.Size.Records, "records", 0, "records that each map task writes (default: the job's own)")
	f.IntVar(&c.Size.RecordBytes, "record-bytes", 0, "bytes of a record, key and value (default: the job's own)")
	f.IntVar(&c.Rounds, "rounds", 3, "rounds; a result is the median over them")
	f.IntVar(&c.Hosts, "hosts", 2, "hosts with an executor: 2 or 3")
	f.StringVar(&c.Executor, "executor-memory", "2g", "heap of each executor")
	f.StringToStringVar(&c.Conf, "conf", nil, "further Spark keys, as spark.weft.x=y")
	f.StringVar(&c.Rate, "rate", "", "shape every host's link to this rate, as 1gbit (tc's units)")
	f.StringVar(&c.Delay, "delay", "", "delay every packet on every host's link, as 100us (Go's units)")
	f.DurationVar(&c.Limit, "limit", 10*time.Minute, "for one run; what takes longer has failed")
	f.BoolVar(&c.Resume, "resume", false, "keep the rounds that shuffle.json in --out has of the same jobs, sizes and settings; of the same weft, that is on you")
	return cmd
}
