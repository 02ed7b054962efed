//go:build !nobench

package main

import (
	"time"

	"github.com/spf13/cobra"

	"weft/bench/all"
)

func benchAllCommand() *cobra.Command {
	c := all.Config{}
	cmd := &cobra.Command{
		Use:   "all",
		Short: "Two hosts with real devices: TCP beside RDMA, perftest, and what decides about both",
		Long: "For whoever has two hosts with RDMA devices and weft on both. From any host that reaches them by ssh, it asks each what `weft doctor`\n" +
			"says and how its RDMA interfaces are set up (MTU, drops, PFC by dcb or mlnx_qos, GIDs), then has the first read from the second: READs of weft and\n" +
			"perftest (see `weft bench rdma`), and streams over TCP by the same addresses, in interleaved rounds. Writes all.json and all.txt to --out.\n" +
			"It sets nothing up there, and while it runs, anyone who reaches the second host may read the benchmark's memory.",
		Example: "  weft bench all --hosts node1,node2\n  weft bench all --hosts node1,node2 --weft /opt/weft/weft --shell 'ssh -l root'",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Progress = cmd.ErrOrStderr()
			r, err := all.Run(cmd.Context(), c)
			if err != nil {
				return err
			}
			return r.Write(cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&c.Hosts, "hosts", nil, "the host that reads and the host that is read from, as ssh knows them")
	f.StringVar(&c.Shell, "shell", "ssh", "what runs a command on a host; the host and a line for its sh are put behind it")
	f.StringVar(&c.Weft, "weft", "weft", "the program on the hosts")
	f.StringVar(&c.Out, "out", "build/bench", "folder for the results")
	f.IntVar(&c.Rounds, "rounds", 3, "rounds; a result is the median over them")
	f.DurationVar(&c.Row, "row", time.Second, "how long each row is measured in a round")
	f.IntSliceVar(&c.BlockBytes, "block", []int{4 << 10, 64 << 10, 1 << 20, 16 << 20}, "block sizes in bytes")
	f.IntSliceVar(&c.Depths, "depth", []int{1, 16}, "READs in flight")
	_ = cmd.MarkFlagRequired("hosts")
	return cmd
}
