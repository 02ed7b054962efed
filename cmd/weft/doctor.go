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
	var peerName string
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Check what weft needs on this host, and the way to another",
		Long: "Checks this host, one line each, with what to do where something is missing. It reads the same options as `weft daemon`, so give\n" +
			"it the same flags and configuration. Exit code 1: a check failed; warnings don't count.\n\n" +
			"With --peer it then fetches 1 MiB from the daemon of another host, over TCP and by RDMA READ, and says how long that took or\n" +
			"what is in the way. That daemon has to run. It listens at the port that `weft status` tells there; without :PORT it is taken to\n" +
			"be the first of weft.net.port.",
		Example: "  weft doctor\n" +
			"  weft doctor --config /etc/weft.yaml\n" +
			"  weft doctor --peer node2:7400\n" +
			"  weft doctor --json | jq '.[] | select(.outcome != \"ok\")'",
		Args: exactly(0),
		RunE: func(c *cobra.Command, _ []string) error {
			opts, err := options.Load(flags.sources())
			if err != nil {
				return fmt.Errorf("options: %w", err)
			}
			var peer doctor.Peer
			if c.Flags().Changed("peer") {
				if peer, err = doctor.ParsePeer(peerName, opts); err != nil {
					return err
				}
			}
			results := examine(c.Context(), opts, peer)
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
	c.Flags().StringVar(&peerName, "peer", "", "`HOST[:PORT]` of another host's daemon, to try the way to it")
	flags.add(c)
	return c
}

// examine looks at this host, and at the way to the peer if one is named.
func examine(ctx context.Context, opts options.Options, peer doctor.Peer) []doctor.Result {
	local, cancel := context.WithTimeout(ctx, 6*patience)
	defer cancel()
	results := doctor.Run(local, opts, os.Getenv)
	if peer != (doctor.Peer{}) {
		away, cancel := context.WithTimeout(ctx, 6*patience)
		defer cancel()
		results = append(results, doctor.RunPeer(away, opts, peer)...)
	}
	return results
}
