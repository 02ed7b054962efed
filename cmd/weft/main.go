// Command weft is the daemon that moves Spark's blocks, and what an operator needs beside it. Everything it does lies in packages; here
// are only the names of commands and flags.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"weft/daemon"
	"weft/internal/version"
)

// Exit codes beside 0 and 1.
const exitAlreadyRunning = 3

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	err := root().ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errReported):
	default:
		fmt.Fprintf(os.Stderr, "weft: %v\n", err)
	}
	if errors.Is(err, daemon.ErrAlreadyRunning) {
		return exitAlreadyRunning
	}
	return 1
}

// errReported ends a command with exit code 1 that has printed why already.
var errReported = errors.New("failed")

func root() *cobra.Command {
	c := &cobra.Command{
		Use:   "weft",
		Short: "RDMA block transfer for Apache Spark",
		Long: "weft moves the blocks of Spark jobs between hosts: one daemon per host fetches for all executors on it, and hands them what\n" +
			"arrived through shared memory. Spark needs spark.shuffle.manager and one jar; see README.md.",
		Version:       version.String(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	c.CompletionOptions.HiddenDefaultCmd = true
	c.SetUsageTemplate(strings.ReplaceAll(c.UsageTemplate(), "Flags.FlagUsages", "Flags.FlagUsagesWrapped 120"))
	c.SetFlagErrorFunc(func(c *cobra.Command, err error) error { return fmt.Errorf("%w; see %s --help", err, c.CommandPath()) })
	c.AddCommand(daemonCommand(), statusCommand(), doctorCommand(), benchCommand(), versionCommand(), docsCommand())
	return c
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  exactly(0),
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := fmt.Fprintf(c.OutOrStdout(), "weft %s\n", version.String())
			return err
		},
	}
}
