//go:build !nobench

package main

import (
	"cmp"
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"weft/bench/train"
	"weft/internal/version"
)

func benchTrainCommand() *cobra.Command {
	conf := map[string]string{}
	c := train.Config{Version: version.String()}
	t := &c.Table
	cmd := &cobra.Command{
		Use:   "train",
		Short: "Train BigDL's models on hosts of this machine or on a cluster, stock Spark beside weft",
		Long: "Starts two to four hosts (network namespaces) with an executor each and trains models by BigDL's in-band parameter server: a run for every\n" +
			"combination of the flags, --repeats times, arms of a comparison one after the other. What a run gave is kept in --out; what is there already, of the same weft\n" +
			"with the same settings, is not repeated, so an interrupted table goes on where it was. `weft bench report` draws it. A ratio is taken within a repeat; its spread is over the repeats.\n" +
			"On hosts of this machine there is no RDMA device: a link with a preset's name is TCP, shaped to that rate.\n" +
			"Needs root and a source tree with weft built; run it there, after 'make build bigdl'.\n\n" +
			"With --master it makes no hosts, needs no root, and submits the same runs to a standalone Spark that runs already, from this machine (client mode),\n" +
			"one executor to a host. There weft-rdma is an arm, too: each arm's executors start daemons of their own, with the device or without, and a run of weft-rdma in\n" +
			"which no block came by RDMA has failed. Resources are sampled on this machine alone. docs/benchmarks.md says what the cluster's hosts need.",
		Example: "  weft bench train --model lenet --repeats 3\n" +
			"  weft bench train --model vgg --batch 8 --iterations 20 --link 'as is,ipoib-like,rdma-like'\n" +
			"  weft bench train --model vgg --executors 2,4 --epochs 18 --data /data/cifar-10-batches-bin\n" +
			"  weft bench train --master spark://node0:7077 --spark-home /opt/spark --impl stock,weft-tcp,weft-rdma --executors 8 --cores 24 --model vgg --batch 768 --memory 60g",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c.Progress, c.Conf = cmd.ErrOrStderr(), conf
			if t.Master != "" {
				c.SparkHome = cmp.Or(c.SparkHome, os.Getenv("SPARK_HOME"))
				if !cmd.Flags().Changed("spark") {
					t.Sparks = nil // what the cluster's is
				}
			}
			runs, err := train.Run(cmd.Context(), c)
			if err != nil {
				return err
			}
			if err := train.WriteTable(cmd.OutOrStdout(), runs); err != nil {
				return err
			}
			if n := train.Failed(runs); n > 0 {
				return fmt.Errorf("%d of %d runs failed; the same command tries them again", n, len(runs))
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&c.Root, "root", ".", "source tree of weft: its scripts and its build folder are used")
	f.StringVar(&c.Out, "out", "build/bench", "folder for the results; without --master outside of /tmp and /run, of which each host has its own")
	f.StringSliceVar(&t.Models, "model", []string{"lenet"}, "models: softmax, lenet, cifar10-quick, vgg, alexnet, inception-v1")
	f.StringSliceVar(&t.Impls, "impl", []string{train.Stock, train.WeftTCP}, "implementations: stock, weft-tcp; with --master also weft-rdma")
	f.StringVar(&t.Master, "master", "", "spark://HOST:PORT of a standalone Master that runs already; empty: hosts of this machine are made")
	f.StringVar(&c.SparkHome, "spark-home", "", "with --master: distribution of the cluster's Spark on this machine; empty: $SPARK_HOME")
	f.StringVar(&c.NodeBuild, "node-build", "", "with --master: folder of each host of the cluster that has weft-spark.jar, weft-bigdl.jar and bigdl/; empty: that of --root, build")
	f.StringArrayVar(&t.Links, "link", []string{train.AsIs}, "link between the hosts (not with --master), may be given again: 'as is', ipoib-like, rdma-like, or RATE[,DELAY] like 1gbit,200us")
	f.StringSliceVar(&t.Sparks, "spark", []string{"3.1.3"}, "versions of Spark: 3.1.3, 3.5.9; with --master that of --spark-home")
	f.IntSliceVar(&t.Executors, "executors", []int{2}, "executors, one to a host: 2 to 4, with --master as many as it has hosts")
	f.IntSliceVar(&t.Cores, "cores", []int{1}, "cores of each executor")
	f.IntSliceVar(&t.Batches, "batch", []int{64}, "records of an iteration, of all executors")
	f.IntVar(&t.Epochs, "epochs", 1, "epochs of a run")
	f.IntVar(&t.Iterations, "iterations", 0, "iterations after which a run ends at the latest; 0: by its epochs alone")
	f.Int64Var(&t.Seed, "seed", 1, "seed of the model's first weights")
	f.IntVar(&t.Repeats, "repeats", 1, "repeats of each run")
	f.StringVar(&c.Data.Folder, "data", "", "folder or hdfs:// of the data, in the model's published format; empty: synthetic data are made")
	f.IntVar(&c.Data.Size.Train, "records", 2048, "records of synthetic data to train with")
	f.IntVar(&c.Data.Size.Test, "test-records", 512, "records of synthetic data to validate with")
	f.Uint64Var(&c.Data.Seed, "data-seed", 1, "seed of synthetic data")
	f.StringVar(&c.Memory, "memory", "2g", "heap of each executor and of the driver")
	f.DurationVar(&c.Limit, "limit", time.Hour, "how long a run may take; one that takes longer has failed")
	f.StringToStringVar(&conf, "conf", nil, "further Spark keys, as spark.weft.x=y")
	return cmd
}
