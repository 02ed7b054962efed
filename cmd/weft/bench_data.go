//go:build !nobench

package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"weft/bigdl/data"
	"weft/bigdl/data/seqfile"
)

func benchDataCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "data",
		Short: "Data sets for training: verify real ones, write synthetic ones",
		Long: "Data sets in the published formats that BigDL reads: CIFAR-10 (binary version), MNIST (idx files) and ImageNet (folders of\n" +
			"images, or sequence files). A folder is a path, or hdfs://HOST:PORT/PATH with the port of the NameNode's RPC; hdfs:///PATH takes the\n" +
			"NameNode from the Hadoop configuration (HADOOP_CONF_DIR). Nothing is downloaded; docs/data.md tells where the real files are.",
	}, dataVerifyCommand(), dataSynthCommand(), dataSeqfileCommand())
}

func dataVerifyCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify DIR",
		Short: "Read a data set to its end, say what it has, and fail at the first damage",
		Long: "Reads every record and prints format, files, records, records of each class, and a SHA-256 over labels and contents in their order,\n" +
			"which is the same wherever the files lie and however they are packed. Damage is named by file and record.",
		Example: "  weft bench data verify cifar-10-batches-bin\n  weft bench data verify hdfs://namenode:8020/mnist",
		Args:    exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			r, err := data.Verify(withProgress(c), args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return printJSON(c, r)
			}
			return printDataReport(c.OutOrStdout(), r)
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print it as JSON")
	return c
}

func dataSynthCommand() *cobra.Command {
	var format string
	var n data.Size
	var seed uint64
	c := &cobra.Command{
		Use:   "synth DIR",
		Short: "Write a synthetic data set that a model can learn",
		Long: "Writes files as those that are published, with images made from a seed: each class has a pattern of 8x8 values, and an image is its\n" +
			"class's pattern with noise (standard deviation 40 of 255). The same seed gives the same images. Overwrites nothing.",
		Example: "  weft bench data synth --format mnist --records 512 --test 256 build/mnist\n" +
			"  weft bench data synth --format imagenet --records 1000 --test 100 --classes 20 hdfs://namenode:8020/imagenet",
		Args: exactly(1),
		RunE: func(c *cobra.Command, args []string) error {
			return data.Synthesize(withProgress(c), args[0], data.Format(format), n, seed)
		},
	}
	f := c.Flags()
	f.StringVar(&format, "format", "", "cifar10, mnist or imagenet")
	f.IntVar(&n.Train, "records", 1000, "training records")
	f.IntVar(&n.Test, "test", 200, "test records")
	f.Uint64Var(&seed, "seed", 1, "seed of patterns, order and noise")
	f.IntVar(&n.Classes, "classes", 10, "with imagenet: classes")
	f.IntVar(&n.Side, "side", 256, "with imagenet: width and height in pixels")
	_ = c.MarkFlagRequired("format")
	return c
}

func dataSeqfileCommand() *cobra.Command {
	var s data.SeqFiles
	var codec string
	c := &cobra.Command{
		Use:   "seqfile FROM TO",
		Short: "Write the Hadoop sequence files from which BigDL reads ImageNet",
		Long: "Reads train/ and val/ in FROM, each with a folder of images for each class, and writes sequence files into train/ and val/ in TO: a\n" +
			"record has the label, from 1 in the order of the folders' names, and the pixels. Overwrites nothing.\n\n" +
			"Every Spark reads the codecs none and deflate. Spark 3.2 and newer read snappy; Spark 3.1 only where Hadoop's native library is\n" +
			"installed (without it a task ends with UnsatisfiedLinkError, buildSupportsSnappy).",
		Example: "  weft bench data seqfile imagenet hdfs://namenode:8020/imagenet-seq\n  weft bench data seqfile --codec snappy --names imagenet imagenet-seq",
		Args:    exactly(2),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if s.Codec, err = seqfile.ParseCodec(codec); err != nil {
				return err
			}
			s.From, s.To = args[0], args[1]
			return data.WriteSeqFiles(withProgress(c), s)
		},
	}
	f := c.Flags()
	f.StringVar(&codec, "codec", string(seqfile.Deflate), "compression of each record: none, deflate or snappy")
	f.IntVar(&s.Side, "scale", 256, "pixels of an image's shorter side; 0: as it is")
	f.IntVar(&s.PerFile, "per-file", 12800, "images of a file")
	f.BoolVar(&s.Names, "names", false, "write the images' names, too")
	f.Uint64Var(&s.Seed, "seed", 1, "seed of the images' order")
	return c
}

// withProgress prints how far work is to standard error, every two seconds.
func withProgress(c *cobra.Command) context.Context {
	next := time.Now().Add(2 * time.Second)
	return data.WithProgress(c.Context(), func(what string, done, total int) {
		now := time.Now()
		if now.Before(next) {
			return
		}
		next = now.Add(2 * time.Second)
		if total > 0 {
			fmt.Fprintf(c.ErrOrStderr(), "%s: %d of %d\n", what, done, total)
		} else {
			fmt.Fprintf(c.ErrOrStderr(), "%s: %d\n", what, done)
		}
	})
}

func printDataReport(w io.Writer, r data.Report) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s\n", r.Location, r.Format)
	for _, p := range r.Parts {
		fmt.Fprintf(&b, "\n%s: %s\n  files    %d\n  records  %d", p.Name, p.Kind, p.Files, p.Records)
		if p.Records != p.Published {
			fmt.Fprintf(&b, " (the published set has %d)", p.Published)
		}
		fmt.Fprintf(&b, "\n  classes  %d\n", len(p.Classes))
		line := "   "
		for _, c := range p.Classes {
			item := fmt.Sprintf(" %s:%d", c.Class, c.Records)
			if len(line)+len(item) > 120 {
				fmt.Fprintln(&b, line)
				line = "   "
			}
			line += item
		}
		fmt.Fprintf(&b, "%s\n  sha256   %s\n", line, p.Digest)
		if p.Note != "" {
			fmt.Fprintf(&b, "  note     %s\n", p.Note)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
