package model

import (
	"io"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weft/bench/golden"
)

func vgg(c Costs, stack string, nodes int) Iteration {
	transport, cached := strings.CutSuffix(stack, Cached)
	return iterate(c, setting{c.Models["vgg"], c.Transports[transport], !cached, nodes, 48})
}

// By hand: two nodes of two cores, costs in round numbers.
func TestIterationByHand(t *testing.T) {
	c := Costs{
		Cores: 2, ComputeCores: 1.6, Link: 8, Oversubscription: 1, Fetches: 4, Compress: 1e-8, Update: 2e-8, Sum: 5e-9,
		Driver: Driver{Job: 1, Task: 0.25, LookUp: 0.03, LookUpService: 0.01},
	}
	// Blocks are 100 MB, and come at 10 MB a second.
	s := setting{Model{1e8, 0.5}, Transport{0.7, 0.08}, true, 2, 6}
	it := iterate(c, s)
	near(t, "jobs", it.Jobs, 2*(1+2*0.25), 1e-9) // the second task ends last
	near(t, "look-ups", it.LookUps, 2*0.04, 1e-9)
	near(t, "get weights", it.GetWeights, 0.7+10, 1e-9)
	near(t, "aggregate", it.Aggregate, 0.7+10+1e8*5e-9/2, 1e-9)
	near(t, "compute", it.Compute, 6*0.5/1.6+1e8*1e-8/2+5e7*2e-8, 1e-9)
	near(t, "iteration", it.Seconds, 3+0.08+10.7+10.95+3.375, 1e-9)
	near(t, "bytes", it.Bytes, 2*2*1e8, 1e-9)

	alone := iterate(c, setting{s.model, s.transport, true, 1, 6})
	near(t, "one node fetches nothing", alone.LookUps+alone.GetWeights+alone.Aggregate+alone.Bytes, 0, 0)

	// On one machine of two cores, two executors of two cores take twice as long, and the links together carry what two cores move.
	c.sharedCores = 2
	shared := iterate(c, s)
	near(t, "compute on shared cores", shared.Compute, 2*it.Compute, 1e-9)
	near(t, "fetches on shared cores", shared.GetWeights, it.GetWeights+0.7, 0.01)
}

// 2 (N-1) blocks of 2/N bytes a parameter come to every executor, whatever it costs.
func TestBytes(t *testing.T) {
	for _, n := range []int{2, 3, 8, 30} {
		near(t, "bytes", vgg(Default(), "stock", n).Bytes, float64(2*n*(n-1))*2*14991946/float64(n), 1e-9)
	}
}

// A dearer part does not make an iteration much shorter. It may a little: all executors ask the same owners first, and what delays some of them
// spreads them out.
func TestDearerIsNotFaster(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Default()
		factor := func(what string) float64 { return rapid.Float64Range(0.2, 5).Draw(t, what) }
		c.Link, c.Driver.LookUpService, c.Driver.Task = c.Link*factor("link"), c.Driver.LookUpService*factor("service"), c.Driver.Task*factor("task")
		stock := c.Transports["stock"]
		stock.Rate *= factor("rate")
		s := setting{c.Models["inception-v1"], stock, true, rapid.IntRange(1, 12).Draw(t, "nodes"), 1}
		before := iterate(c, s).Seconds
		switch more := rapid.Float64Range(1, 4).Draw(t, "more"); rapid.IntRange(0, 6).Draw(t, "of") {
		case 0:
			c.Link /= more
		case 1:
			c.Oversubscription *= more
		case 2:
			c.Driver.LookUpService *= more
		case 3:
			c.Driver.LookUp *= more
		case 4:
			c.Driver.Job *= more
		case 5:
			s.transport.Fetch *= more
		case 6:
			s.transport.Rate /= more
		}
		if after := iterate(c, s).Seconds; after < before*0.9 {
			t.Fatalf("%v s, and %v s with a dearer part", before, after)
		}
	})
}

func TestCachedAsksNobody(t *testing.T) {
	c := Default()
	if it := vgg(c, "weft-rdma-cached", 16); it.LookUps != 0 {
		t.Errorf("%v s of look-ups", it.LookUps)
	}
	// At 200 nodes the driver's queue is what look-ups take: all of them, one after the other.
	near(t, "look-ups", vgg(c, "weft-rdma", 200).LookUps, 2*200*199*c.Driver.LookUpService, 0.2)
}

func TestParts(t *testing.T) {
	for _, stack := range []string{"stock", "weft-rdma", "weft-rdma-cached"} {
		for _, n := range []int{1, 2, 16, 50} {
			it := vgg(Default(), stack, n)
			near(t, stack, it.Compute+it.LookUps+it.GetWeights+it.Aggregate+it.Jobs, it.Seconds, 1e-9)
		}
	}
}

func TestGolden(t *testing.T) {
	p := Prediction{
		Models: []string{"lenet", "vgg", "alexnet", "inception-v1"}, Stacks: []string{"stock", "weft-tcp-cached", "weft-rdma", "weft-rdma-cached"},
		Nodes: []int{1, 2, 4, 16, 64}, Batch: 48,
	}
	rows, err := p.Predict(Default(), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	fitted, published, err := FitPublished(Default())
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := WriteTable(&b, rows); err != nil {
		t.Fatal(err)
	}
	if err := WritePublished(&b, fitted, published); err != nil {
		t.Fatal(err)
	}
	golden.Check(t, "default.txt", b.String())
}

func TestPredictionErrors(t *testing.T) {
	for want, p := range map[string]Prediction{
		`model "resnet"; there are: alexnet, cifar10-quick, inception-v1, lenet, softmax, vgg`: {[]string{"resnet"}, []string{"stock"}, []int{2}, 1},
		`transport "roce"; there are: stock, weft-rdma, weft-tcp, each`:                        {[]string{"vgg"}, []string{"roce-cached"}, []int{2}, 1},
		"0 nodes":       {[]string{"vgg"}, []string{"stock"}, []int{2, 0}, 1},
		"1000000 nodes": {[]string{"vgg"}, []string{"stock"}, []int{1000000}, 1},
		"a batch of 0":  {[]string{"vgg"}, []string{"stock"}, []int{2}, 0},
	} {
		if _, err := p.Predict(Default(), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// The two fitted results are hit, by the costs that the defaults have; the rest is held out.
func TestPublished(t *testing.T) {
	c := Default()
	fitted, results, err := FitPublished(c)
	if err != nil {
		t.Fatal(err)
	}
	near(t, "the default of what a node computes", c.ComputeCores, fitted.ComputeCores, 0.005)
	near(t, "the default rate of stock", c.Transports["stock"].Rate, fitted.Rate, 0.005)
	fits := 0
	for _, r := range results {
		if r.FittedWith != "" {
			fits++
			near(t, r.Result, r.Model, r.Published, 0.005)
		}
	}
	if fits != 2 || len(results) < 5 {
		t.Errorf("%d fitted of %d", fits, len(results))
	}
	if d := Default(); c.ComputeCores != d.ComputeCores || c.Transports["stock"] != d.Transports["stock"] {
		t.Error("fitting changed its argument")
	}
	c.Driver.Job = 5
	if _, _, err := FitPublished(c); err == nil {
		t.Error("jobs alone take longer than the published run, and it was fitted")
	}
}

func TestSolve(t *testing.T) {
	v, ok := solve(1, 1000, 50, func(x float64) float64 { return x * x })
	if near(t, "root of 50", v, math.Sqrt(50), 1e-6); !ok {
		t.Error("not found")
	}
	if _, ok := solve(1, 2, 50, func(x float64) float64 { return x * x }); ok {
		t.Error("found where it is not")
	}
}
