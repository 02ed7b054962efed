package model

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// The published runs: VGG on CIFAR-10 at batch 768 on cluster B, one executor a node (docs/model.md).
const (
	publishedModel   = "vgg"
	publishedBatch   = 768
	publishedSamples = 50_000
	publishedEpochs  = 18
	ipoib, verbs     = "stock", "weft-rdma" // what stands for the study's IPoIB and RDMA; both ask the driver
)

// shuffleRate is what Spark was published to move in a shuffle, on a link that could have taken 100 Gbit/s (docs/model.md).
const shuffleRate = 7.5

// Published is a published result beside what the model has for it.
type Published struct {
	Result     string
	Unit       string
	Published  float64
	Model      float64
	FittedWith string // the cost that was chosen to hit it; empty: held out
}

// Residual is the model's error in per cent.
func (p Published) Residual() float64 { return 100 * (p.Model/p.Published - 1) }

// Fitted is what FitPublished chose.
type Fitted struct {
	ComputeCores float64 // what a node's 24 cores compute together, in cores that compute alone
	Rate         float64 // Gbit/s of stock Spark over IPoIB, into and out of an executor
}

// FitPublished chooses the two costs that no source gives so that the model hits the two published times at 384 cores, and returns them and
// all published results, those two and the ones held out.
func FitPublished(c Costs) (Fitted, []Published, error) {
	c.Cores, c.Link, c.Oversubscription = 24, Default().Link, 1
	const ipoib384, rdma384 = 2372, 870
	c.Transports = clone(c.Transports)
	if err := c.has(publishedModel, ipoib, verbs); err != nil {
		return Fitted{}, nil, err
	}
	t := c.Transports[ipoib]
	epochs := func(nodes, cores int, transport string) float64 {
		of := c
		of.Cores = cores
		it := iterate(of, setting{c.Models[publishedModel], c.Transports[transport], true, nodes, publishedBatch / float64(nodes)})
		return publishedEpochs * math.Ceil(publishedSamples/float64(publishedBatch)) * it.Seconds
	}
	// The more cores' worth, and the faster, the fewer seconds: both are sought by what they take.
	share, ok := solve(1.0/24, 1e3, rdma384, func(share float64) float64 {
		c.ComputeCores = 1 / share
		return epochs(16, 24, verbs)
	})
	if !ok {
		return Fitted{}, nil, fmt.Errorf("no part of a node's 24 cores gives the published %d s by RDMA at 384 cores with these costs", rdma384)
	}
	seconds, ok := solve(1e-3, 1e3, ipoib384, func(secondsPerGbit float64) float64 {
		c.Transports[ipoib] = Transport{t.Fetch, 1 / secondsPerGbit}
		return epochs(16, 24, ipoib)
	})
	if !ok {
		return Fitted{}, nil, fmt.Errorf("no rate of %s gives the published %d s over IPoIB at 384 cores with these costs", ipoib, ipoib384)
	}
	f := Fitted{1 / share, 1 / seconds}
	i384, r384 := epochs(16, 24, ipoib), epochs(16, 24, verbs)
	half := epochs(16, 12, ipoib) / epochs(16, 12, verbs)
	eight := epochs(8, 24, ipoib) / epochs(8, 24, verbs)
	c.Transports[ipoib] = Transport{t.Fetch, shuffleRate}
	unfitted := epochs(16, 24, ipoib)
	return f, []Published{
		{"end of epoch 18, 384 cores, RDMA", "s", rdma384, r384, "compute_cores"},
		{"end of epoch 18, 384 cores, IPoIB", "s", ipoib384, i384, "transports.stock.gbit_s"},
		{"end of epoch 18, 192 cores as 12 of 16 nodes, IPoIB / RDMA", "", 2.6, half, ""},
		{"end of epoch 18, 192 cores as 24 of 8 nodes, IPoIB / RDMA", "", 2.6, eight, ""},
		{"end of epoch 18, 384 cores, IPoIB at 7.5 Gbit/s", "s", ipoib384, unfitted, ""},
		{"to 70 % accuracy, IPoIB / RDMA, taken at 16 nodes of 24 cores", "", 4337.0 / 2132, i384 / r384, ""},
		{"to 70 % accuracy, IPoIB / RDMA, taken at 8 nodes of 24 cores", "", 4337.0 / 2132, eight, ""},
	}, nil
}

// solve finds where f, which grows, is want, by bisection of the logarithm.
func solve(low, high, want float64, f func(float64) float64) (float64, bool) {
	if f(low) > want || f(high) < want {
		return 0, false
	}
	for range 40 {
		if middle := math.Sqrt(low * high); f(middle) < want {
			low = middle
		} else {
			high = middle
		}
	}
	v := math.Sqrt(low * high)
	f(v)
	return v, true
}

// WritePublished prints published results beside the model.
func WritePublished(w io.Writer, f Fitted, rows []Published) error {
	fmt.Fprintf(w, "fitted: 24 cores compute as fast as %.2f that compute alone; stock Spark over IPoIB moves %.3f Gbit/s into and out of an executor\n", f.ComputeCores, f.Rate)
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "published result\tpublished\tmodel\tresidual\t \t")
	for _, r := range rows {
		how := "held out"
		if r.FittedWith != "" {
			how = "fitted with " + r.FittedWith
		}
		format := "%s\t%.2fx\t%.2fx\t%+.1f %%\t%s\t\n"
		if r.Unit == "s" {
			format = "%s\t%.0f s\t%.0f s\t%+.1f %%\t%s\t\n"
		}
		fmt.Fprintf(t, format, r.Result, r.Published, r.Model, r.Residual(), how)
	}
	return t.Flush()
}
