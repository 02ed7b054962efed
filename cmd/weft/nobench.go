//go:build nobench

package main

import (
	"errors"

	"github.com/spf13/cobra"
)

// benchCommand stands in for the benchmarks in the daemon that travels inside the jar: their libraries would double it.
func benchCommand() *cobra.Command {
	return &cobra.Command{
		Use:                "bench",
		Short:              "Measure weft beside stock Spark and the raw limits (not in this program)",
		DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error {
			return errors.New("this program is the daemon from weft's jar; the benchmarks are in build/weft of the source tree, by 'make build'")
		},
	}
}
