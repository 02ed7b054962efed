//go:build !nobench

package main

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"weft/bench/targets"
)

func benchTargetsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "targets DIR",
		Short: "What weft is to reach beside what the benchmarks in a folder have measured",
		Long: "Reads what `weft bench fetch`, `shuffle`, `train`, `rdma` and `registry` left in DIR, as `make bench` has them write it, prints each target\n" +
			"with its figure (the median over the rounds, and the extremes), and writes targets.json there. A target that is missed, or was not measured, is\n" +
			"told in the table and is no error.",
		Example: "  weft bench targets build/bench",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if info, err := os.Stat(args[0]); err != nil || !info.IsDir() {
				return fmt.Errorf("%s is no folder of results: give the --out of the benchmarks, as build/bench", args[0])
			}
			figures := targets.Of(args[0])
			if err := targets.Write(args[0], figures); err != nil {
				return err
			}
			return targets.WriteTable(cmd.OutOrStdout(), figures)
		},
	}
}
