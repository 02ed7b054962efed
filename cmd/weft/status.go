package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"weft/internal/options"
	"weft/internal/status"
)

// patience bounds how long a command waits for a daemon that doesn't answer.
const patience = 10 * time.Second

func statusCommand() *cobra.Command {
	var flags optionFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "Show what the daemon of this host does",
		Long: "Asks the daemon of the socket directory for its sessions, map outputs, arenas, peers, the bytes it moved by transport, and what\n" +
			"went another way and why. Exit code 1: no daemon answers. docs/status.md describes the JSON.",
		Example: "  weft status\n" +
			"  weft status --json | jq '.fallbacks'\n" +
			"  weft status --socket-dir /run/weft",
		Args: exactly(0),
		RunE: func(c *cobra.Command, _ []string) error {
			opts, err := options.Parse(flags.sources())
			if err != nil {
				return fmt.Errorf("options: %w", err)
			}
			ctx, cancel := context.WithTimeout(c.Context(), patience)
			defer cancel()
			s, err := status.Get(ctx, opts.SocketDir)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c, s)
			}
			return status.Print(c.OutOrStdout(), s, time.Now())
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, whose names are stable")
	flags.add(c, "weft.socket.dir")
	return c
}

func printJSON(c *cobra.Command, v any) error {
	e := json.NewEncoder(c.OutOrStdout())
	e.SetIndent("", "  ")
	return e.Encode(v)
}
