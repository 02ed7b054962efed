//go:build !nobench

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weft/bench/fetch"
	"weft/bench/raw"
)

func benchCommand() *cobra.Command {
	return group(&cobra.Command{Use: "bench", Short: "Measure weft beside stock Spark and the raw limits"},
		benchAllCommand(), benchDataCommand(), benchFetchCommand(), benchModelCommand(), benchRDMACommand(), benchRawCommand(), benchRegistryCommand(),
		benchReportCommand(), benchShuffleCommand(), benchTargetsCommand(), benchTrainCommand())
}

// group makes c a command of others: by itself it shows its help, and another word than theirs is an error.
func group(c *cobra.Command, others ...*cobra.Command) *cobra.Command {
	c.SuggestionsMinimumDistance = 2 // as for the commands of weft
	c.Args = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		meant := ""
		if like := c.SuggestionsFor(args[0]); len(like) > 0 {
			meant = fmt.Sprintf(", perhaps %s", strings.Join(like, " or "))
		}
		return fmt.Errorf("%s has no command %q%s; see %s --help", c.CommandPath(), args[0], meant, c.CommandPath())
	}
	c.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
	c.AddCommand(others...)
	return c
}

func benchFetchCommand() *cobra.Command {
	conf := map[string]string{}
	c := fetch.Config{}
	cmd := &cobra.Command{
		Use:   "fetch",
		Short: "Block fetching between two hosts of this machine: Netty, weft and the raw limit",
		Long: "Starts two hosts (network namespaces) with a Spark executor each and fetches blocks from one to the other through Spark's\n" +
			"BlockStoreClient: stock Netty beside weft, in the same JVMs, in interleaved rounds, with a loop of sendfile into shared memory\n" +
			"as the limit. Writes fetch.json (medians over the rounds), fetch-rounds.json and fetch.txt (Go benchmark format) to --out.\n" +
			"Needs root and a source tree with weft built; run it there, or by 'make bench-fetch'.",
		Example: "  weft bench fetch\n  weft bench fetch --rounds 1 --row 500ms --block 1048576",
		Args:    exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Progress, c.Conf = cmd.ErrOrStderr(), conf
			rounds, err := fetch.Run(cmd.Context(), c)
			if err != nil {
				return err
			}
			return fetch.WriteTable(cmd.OutOrStdout(), rounds)
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Root, "root", ".", "source tree of weft: its scripts and its build folder are used")
	f.StringVar(&c.Spark, "spark", "3.5.9", "version of Spark")
	f.StringVar(&c.Out, "out", "build/bench", "folder for the results")
	f.IntVar(&c.Rounds, "rounds", 5, "rounds; a result is the median over them")
	f.DurationVar(&c.Row, "row", 2*time.Second, "how long each row is measured in a round")
	f.IntSliceVar(&c.BlockBytes, "block", []int{1 << 10, 64 << 10, 1 << 20, 16 << 20}, "block sizes in bytes")
	f.StringVar(&c.Executor, "executor-memory", "2g", "heap of each executor")
	f.StringToStringVar(&conf, "conf", nil, "further Spark keys, as spark.weft.x=y")
	return cmd
}

func benchRawCommand() *cobra.Command {
	return group(&cobra.Command{Use: "raw", Short: "The raw limit by itself: sendfile on one side, shared memory on the other"},
		benchRawServeCommand(), benchRawReadCommand())
}

func benchRawServeCommand() *cobra.Command {
	var listen, file string
	c := &cobra.Command{
		Use:   "serve",
		Short: "Send a file to every connection until standard input ends",
		Long:  "Prints the port it listens on, sends the whole file again and again, and prints its CPU seconds as JSON when standard input ends.",
		Args:  exactly(0),
		RunE: func(c *cobra.Command, _ []string) error {
			f, err := os.Open(file)
			if err != nil {
				return err
			}
			defer func() { _ = f.Close() }()
			info, err := f.Stat()
			if err != nil {
				return err
			}
			l, err := net.Listen("tcp", listen)
			if err != nil {
				return err
			}
			_, port, err := net.SplitHostPort(l.Addr().String())
			if err != nil {
				return err
			}
			fmt.Fprintln(c.OutOrStdout(), port)
			ctx, cancel := context.WithCancel(c.Context())
			served := make(chan error, 1)
			go func() { served <- raw.Serve(ctx, l, f, int(info.Size())) }()
			_, err = io.Copy(io.Discard, c.InOrStdin())
			cancel()
			return errors.Join(err, <-served, json.NewEncoder(c.OutOrStdout()).Encode(fetch.RawServed{CPUSeconds: raw.CPU().Seconds()}))
		},
	}
	c.Flags().StringVar(&listen, "listen", ":0", "address to listen on")
	c.Flags().StringVar(&file, "file", "", "file whose bytes are sent")
	_ = c.MarkFlagRequired("file")
	return c
}

func benchRawReadCommand() *cobra.Command {
	var addr string
	var block, arena int
	var d time.Duration
	var checksum bool
	c := &cobra.Command{
		Use:   "read",
		Short: "Read what 'serve' sends into shared memory, and print the rate as JSON",
		Args:  exactly(0),
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := raw.Read(c.Context(), addr, block, max(arena, block), d, checksum)
			if err != nil {
				return err
			}
			return json.NewEncoder(c.OutOrStdout()).Encode(fetch.RawRead{Blocks: r.Blocks, Seconds: r.Elapsed.Seconds(), CPUSeconds: raw.CPU().Seconds()})
		},
	}
	f := c.Flags()
	f.StringVar(&addr, "addr", "", "address that 'serve' listens on")
	f.IntVar(&block, "block", 1<<20, "bytes of a block")
	f.IntVar(&arena, "arena", 64<<20, "bytes of shared memory to spread the blocks over")
	f.BoolVar(&checksum, "checksum", false, "compute a CRC32C of what arrives, too")
	f.DurationVar(&d, "for", 2*time.Second, "how long to measure")
	_ = c.MarkFlagRequired("addr")
	return c
}
