//go:build !nobench

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"weft/bench/rdma"
)

func benchRDMACommand() *cobra.Command {
	c := rdma.Config{}
	var serve, asJSON bool
	var listen string
	cmd := &cobra.Command{
		Use:   "rdma",
		Short: "READs over RDMA: weft's connections, perftest and a bare C loop on the same link",
		Long: "Reads blocks over RDMA by weft's connections, by ib_read_bw and ib_read_lat of perftest where they are installed, and by a bare C\n" +
			"loop (bench/cloop of the source tree) where it is built, in interleaved rounds. Writes rdma.json (medians over the rounds) and rdma-rounds.json to --out and\n" +
			"prints them with weft's ratio to each of the others.\n\n" +
			"By default both ends are on one device of this host, in two processes. Between two hosts, run it with --serve on one, and with\n" +
			"--peer on the other. --serve ends with its standard input, and asks for no secret: whoever reaches its port may read the benchmark's\n" +
			"memory and start perftest there.",
		Example: "  weft bench rdma\n  weft bench rdma --rounds 1 --row 500ms --block 4096,1048576 --depth 1,16\n" +
			"  weft bench rdma --serve                    # on one host: prints 192.0.2.2:41234\n  weft bench rdma --peer 192.0.2.2:41234     # on the other",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if serve {
				return serveRDMA(cmd, listen, c.Device)
			}
			c.Progress = cmd.ErrOrStderr()
			if asJSON {
				c.Out = ""
			}
			if c.Peer != "" {
				c.CLoop = "" // it has no peer
			} else {
				stop, err := startOwner(cmd.Context(), &c)
				if err != nil {
					return err
				}
				defer stop()
			}
			rounds, err := rdma.Run(cmd.Context(), c)
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(cmd, rdma.Medians(rounds))
			}
			return rdma.WriteTable(cmd.OutOrStdout(), rounds)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Device, "device", "auto", "the RDMA device; auto: the first with a usable port")
	f.BoolVar(&serve, "serve", false, "be the owner of what another host's --peer reads, until standard input ends")
	f.StringVar(&listen, "listen", ":0", "with --serve: TCP address to listen on, without a host that of the RDMA device; it is printed")
	f.StringVar(&c.Peer, "peer", "", "address that --serve printed on another host")
	f.StringVar(&c.CLoop, "cloop", "build/rig/cloop", "the C loop; without the file it is left out")
	f.BoolVar(&c.Perftest, "perftest", true, "measure perftest, too")
	f.StringVar(&c.Out, "out", "build/bench", "folder for the result")
	f.BoolVar(&asJSON, "json", false, "print the rows as JSON, and write no file")
	f.IntVar(&c.Rounds, "rounds", 5, "rounds; a result is the median over them")
	f.DurationVar(&c.Row, "row", time.Second, "how long each implementation is measured in each row of a round")
	f.IntSliceVar(&c.BlockBytes, "block", []int{4 << 10, 64 << 10, 1 << 20, 16 << 20}, "block sizes in bytes")
	f.IntSliceVar(&c.Depths, "depth", []int{1, 4, 16, 64}, "READs in flight")
	cmd.MarkFlagsMutuallyExclusive("serve", "peer")
	return cmd
}

// serveRDMA prints where it listens and serves until standard input ends.
func serveRDMA(cmd *cobra.Command, listen, device string) error {
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, cmd.InOrStdin())
		cancel()
	}()
	return rdma.Serve(ctx, listen, device, func(addr net.Addr) { fmt.Fprintln(cmd.OutOrStdout(), addr) })
}

// startOwner starts the owner's side as another process of this program, and finds the C loop.
func startOwner(ctx context.Context, c *rdma.Config) (stop func(), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	owner := exec.CommandContext(ctx, self, "bench", "rdma", "--serve", "--device", c.Device)
	owner.Cancel = func() error { return owner.Process.Signal(syscall.SIGTERM) } // it has children of its own
	owner.WaitDelay = 5 * time.Second
	owner.Stderr = c.Progress
	stdin, err := owner.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := owner.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := owner.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		_ = stdin.Close()
		_ = owner.Wait() // what went wrong there was printed, here or there
	}
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	c.Peer = strings.TrimSpace(line)
	if _, err := netip.ParseAddrPort(c.Peer); err != nil {
		stop()
		return nil, errReported
	}
	if _, err := os.Stat(c.CLoop); err != nil {
		fmt.Fprintf(c.Progress, "going on without the C loop: %v\n", err)
		c.CLoop = ""
	}
	return stop, nil
}
