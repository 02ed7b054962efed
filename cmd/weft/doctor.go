package main

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"weft/internal/doctor"
	"weft/internal/options"
)

func doctorCommand() *cobra.Command {
	var flags optionFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check what weft needs on this host",
		Long: "Checks this host, one line each, with what to do where something is missing. It reads the same options as `weft daemon`, so give\n" +
			"it the same flags and configuration. Exit code 1: a check failed; warnings don't count.",
		Example: "  weft doctor\n" +
			"  weft doctor --config /etc/weft.yaml\n" +
			"  weft doctor --json | jq '.[] | select(.outcome != \"ok\")'",
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			opts, err := options.Load(flags.sources())
			if err != nil {
				return fmt.Errorf("options:\n%w", err)
			}
			ctx, cancel := context.WithTimeout(c.Context(), 6*patience)
			defer cancel()
			results := doctor.Run(ctx, opts, os.Getenv)
			if asJSON {
				err = printJSON(c, results)
			} else {
				err = doctor.Print(c.OutOrStdout(), results)
			}
			if err == nil && !doctor.Healthy(results) {
				err = errReported
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON: a list of {check, outcome: ok, warn or fail, found, todo}")
	flags.add(c)
	return c
}
