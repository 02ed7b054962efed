package model

import (
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// Cached is what the name of a stack ends in that keeps where blocks are, and does not ask the driver for each.
const Cached = "-cached"

// samples is an epoch of each model's data set.
var samples = map[string]int{
	"softmax": 60_000, "lenet": 60_000, "cifar10-quick": 50_000, "vgg": 50_000, "alexnet": 1_281_167, "inception-v1": 1_281_167,
}

// Row is one prediction in model.json. All of it is the model's output.
type Row struct {
	Model            string  `json:"model"`
	Stack            string  `json:"stack"`
	Nodes            int     `json:"nodes"`
	IterationSeconds float64 `json:"iteration_s"` // the sum of the next five
	Compute          float64 `json:"compute_s"`
	LookUps          float64 `json:"lookups_s"`
	GetWeights       float64 `json:"get_weights_s"`
	Aggregate        float64 `json:"aggregate_s"`
	Jobs             float64 `json:"jobs_s"`
	EpochSeconds     float64 `json:"epoch_s"`
}

// Prediction is what to predict.
type Prediction struct {
	Models []string
	Stacks []string // transports, with Cached or without
	Nodes  []int
	Batch  int // samples of a node in an iteration
}

// Predict simulates an iteration of each model with each stack on each number of nodes; it reports what it does next to progress.
func (p Prediction) Predict(c Costs, progress io.Writer) ([]Row, error) {
	for _, n := range p.Nodes {
		if n < 1 || n > maxNodes {
			return nil, fmt.Errorf("%d nodes: the model takes 1 to %d", n, maxNodes)
		}
	}
	if p.Batch < 1 {
		return nil, fmt.Errorf("a batch of %d: a node has at least one sample", p.Batch)
	}
	var rows []Row
	for _, m := range p.Models {
		for _, n := range p.Nodes {
			for _, s := range p.Stacks {
				transport, cached := strings.CutSuffix(s, Cached)
				if err := c.has(m, transport); err != nil {
					return nil, err
				}
				fmt.Fprintf(progress, "%s on %d nodes, %s\n", m, n, s)
				it := iterate(c, setting{c.Models[m], c.Transports[transport], !cached, n, float64(p.Batch)})
				rows = append(rows, Row{
					m, s, n, it.Seconds, it.Compute, it.LookUps, it.GetWeights, it.Aggregate, it.Jobs,
					it.Seconds * math.Ceil(float64(epochOf(m))/float64(p.Batch*n)),
				})
			}
		}
	}
	return rows, nil
}

// maxNodes bounds a simulation, whose time and memory grow with the square of the nodes.
const maxNodes = 4096

// epochOf is the samples of an epoch: those of the model's data set, or CIFAR-10's for a model of one's own.
func epochOf(model string) int {
	if n := samples[model]; n > 0 {
		return n
	}
	return samples["vgg"]
}

// has tells by an error which names the costs don't have.
func (c Costs) has(model string, transports ...string) error {
	if _, ok := c.Models[model]; !ok {
		return fmt.Errorf("there are no costs of model %q; there are: %s", model, strings.Join(sorted(c.Models), ", "))
	}
	for _, t := range transports {
		if _, ok := c.Transports[t]; !ok {
			return fmt.Errorf("there are no costs of transport %q; there are: %s, each also with %s behind it", t, strings.Join(sorted(c.Transports), ", "), Cached)
		}
	}
	return nil
}

func clone[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return maps.Clone(m)
}

// WriteTable prints the predictions, with each stack's speed-up over the first stack of the same model and nodes.
func WriteTable(w io.Writer, rows []Row) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "model\tnodes\tstack\titeration s\tcompute\tlook-ups\tget weights\taggregate\tjobs\tepoch s\tspeed-up\t")
	for _, r := range rows {
		first := rows[slices.IndexFunc(rows, func(o Row) bool { return o.Model == r.Model && o.Nodes == r.Nodes })]
		fmt.Fprintf(t, "%s\t%d\t%s\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.3f\t%.0f\t%.2fx\t\n", r.Model, r.Nodes, r.Stack, r.IterationSeconds,
			r.Compute, r.LookUps, r.GetWeights, r.Aggregate, r.Jobs, r.EpochSeconds, first.IterationSeconds/r.IterationSeconds)
	}
	return t.Flush()
}
