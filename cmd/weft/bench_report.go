//go:build !nobench

package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"weft/bench/report"
)

func benchReportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "report DIR",
		Short: "Draw what training runs gave: an HTML page and PNG files",
		Long: "Makes DIR/report anew from the runs that `weft bench train` left in DIR: report.html, one page that needs nothing beside it, and its plots\n" +
			"as PNG files. It shows the runs as the figures of the published study do (accuracy over time, accumulated seconds at each epoch's end,\n" +
			"network and host memory in windows of 60 s), the published values beside them, where an iteration's time goes by transport, ratios to\n" +
			"stock Spark with their spread, and every run, failed ones as failed. What `weft bench model` left in DIR/model.json is drawn apart.\n" +
			"Prints the page's name.",
		Example: "  weft bench report build/bench\n  xdg-open build/bench/report/report.html",
		Args:    exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name, err := report.Write(args[0])
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), name)
			return err
		},
	}
}
