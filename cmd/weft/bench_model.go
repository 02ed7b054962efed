//go:build !nobench

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"weft/bench/model"
)

func benchModelCommand() *cobra.Command {
	c := modelCommand{}
	cmd := &cobra.Command{
		Use:   "model",
		Short: "A model of BigDL's training iteration on up to thousands of nodes (its output is no measurement)",
		Long: "Simulates one iteration of BigDL: computing, the look-ups at the driver, the fetches of weights and gradients over shared links, the adding up,\n" +
			"and Spark's two jobs; for stock Spark, weft, and weft that keeps where blocks are instead of asking the driver for each (" + model.Cached + "). All it\n" +
			"prints is a model's output and no measurement. The costs and their sources, what the model leaves out and how far off it is: docs/model.md.\n\n" +
			"It also holds itself against published results and, with --runs, against measured runs of `weft bench train`: the costs of each stack come from its\n" +
			"runs with 2 executors, all others are held out. Times are in seconds. Writes model.json, the predictions alone, to --out.",
		Example: "  weft bench model\n  weft bench model --model lenet,vgg --nodes 2,4,16 --batch 32 --oversubscription 4\n" +
			"  weft bench model --runs build/bench/train.json\n  weft bench model --costs mine.yaml --json",
		Args: exactly(0),
		RunE: func(cmd *cobra.Command, _ []string) error { return c.run(cmd) },
	}
	f := cmd.Flags()
	f.IntSliceVar(&c.prediction.Nodes, "nodes", []int{2, 4, 8, 16, 64, 256, 1000}, "nodes, each with one executor")
	f.StringSliceVar(&c.prediction.Models, "model", []string{"vgg"}, "models: softmax, lenet, cifar10-quick, vgg, alexnet, inception-v1 (GoogLeNet), or what --costs adds")
	f.StringSliceVar(&c.prediction.Stacks, "transport", []string{"stock", "weft-rdma", "weft-rdma" + model.Cached},
		"stock, weft-tcp, weft-rdma, or what --costs adds; with "+model.Cached+" behind it without look-ups at the driver")
	f.IntVar(&c.prediction.Batch, "batch", 48, "samples of a node in an iteration")
	f.StringVar(&c.costs, "costs", "", "YAML file of costs, over those of docs/model.md")
	f.Float64Var(&c.link, "link", 0, "rate of a node's link in Gbit/s, each way; 0: as in the costs")
	f.Float64Var(&c.oversubscription, "oversubscription", 0, "the links of all nodes over what the network between them carries; 0: as in the costs")
	f.StringVar(&c.runs, "runs", "", "measured runs to check the model with: JSON as in build/bench/train.json")
	f.IntVar(&c.runsCores, "runs-cores", runtime.NumCPU(), "cores of the machine that all executors of --runs shared")
	f.StringVar(&c.out, "out", "build/bench", "folder for the result")
	f.BoolVar(&c.json, "json", false, "print the predictions as JSON, and write no file")
	cmd.MarkFlagsMutuallyExclusive("json", "runs")
	_ = cmd.MarkFlagFilename("costs", "yaml", "yml")
	_ = cmd.MarkFlagFilename("runs", "json")
	return cmd
}

type modelCommand struct {
	prediction             model.Prediction
	costs, runs, out       string
	link, oversubscription float64
	runsCores              int
	json                   bool
}

func (c modelCommand) run(cmd *cobra.Command) error {
	costs := model.Default()
	if c.costs != "" {
		var err error
		if costs, err = model.Load(c.costs); err != nil {
			return err
		}
	}
	if c.link != 0 {
		costs.Link = c.link
	}
	if c.oversubscription != 0 {
		costs.Oversubscription = c.oversubscription
	}
	if err := costs.Validate(); err != nil {
		return err
	}
	if c.runsCores < 1 {
		return fmt.Errorf("--runs-cores has to be at least 1, not %d", c.runsCores)
	}
	rows, err := c.prediction.Predict(costs, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(rows, "", "\t")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if c.json {
		_, err := cmd.OutOrStdout().Write(b)
		return err
	}
	if err := os.MkdirAll(c.out, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(c.out, "model.json"), b, 0o644); err != nil {
		return err
	}
	return c.print(cmd.OutOrStdout(), costs, rows)
}

func (c modelCommand) print(w io.Writer, costs model.Costs, rows []model.Row) error {
	heading(w, fmt.Sprintf("Predicted by the model, not measured: one iteration with %d samples a node", c.prediction.Batch))
	if err := model.WriteTable(w, rows); err != nil {
		return err
	}
	fmt.Fprintln(w)
	heading(w, "The model beside published results: BigDL, VGG, batch 768")
	if fitted, published, err := model.FitPublished(costs); err != nil {
		fmt.Fprintln(w, err)
	} else if err := model.WritePublished(w, fitted, published); err != nil {
		return err
	}
	if c.runs == "" {
		return nil
	}
	runs, err := model.LoadRuns(c.runs)
	if err != nil {
		return err
	}
	fmt.Fprintln(w)
	heading(w, fmt.Sprintf("The model beside measured runs, all executors on one machine of %d cores", c.runsCores))
	return model.WriteChecks(w, model.CheckRuns(costs, runs, c.runsCores))
}

func heading(w io.Writer, s string) {
	fmt.Fprintf(w, "%s\n%s\n", s, strings.Repeat("-", len(s)))
}
