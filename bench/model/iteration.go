package model

// Iteration is where the seconds of one iteration go, as the model has it. They are those of the executor that ends last in each of
// the two jobs, and add up to Seconds.
type Iteration struct {
	Seconds    float64
	Compute    float64 // forward and backward, compressing the gradient, updating the executor's share of the weights
	LookUps    float64 // asking the driver where blocks are, waiting for its other answers included
	GetWeights float64 // fetching weights, less the look-ups
	Aggregate  float64 // fetching gradients and adding them up, less the look-ups
	Jobs       float64 // Spark's two jobs: fixed costs, and the tasks launched before this one
	Bytes      float64 // fetched by all executors
	// As BigDL's own metrics have them, with their look-ups.
	getWeights, aggregate float64
}

// setting is one iteration to simulate.
type setting struct {
	model     Model
	transport Transport
	lookups   bool
	nodes     int
	batch     float64 // samples of a node
}

// iterate simulates one iteration of BigDL: a job whose tasks fetch the weights and compute gradients of their part of the batch, then one whose tasks
// each fetch their share of all gradients, add it up and update their share of the weights.
func iterate(c Costs, s setting) Iteration {
	n := float64(s.nodes)
	params := float64(s.model.Parameters)
	crowding := c.crowding(s.nodes)
	share := crowding / float64(c.Cores)
	x := exchange{
		executors: s.nodes, block: 2 * params / n, slots: c.Fetches, lookups: s.lookups,
		roundTrip: c.Driver.LookUp, service: c.Driver.LookUpService, latency: s.transport.Fetch * crowding,
		link: c.link(s.transport), core: c.core(s.nodes, s.transport),
	}
	starts := make([]float64, s.nodes)
	for i := range starts {
		starts[i] = c.Driver.Job + float64(i+1)*c.Driver.Task
	}
	// All executors do the same work after their fetches, so the last to have its blocks ends last.
	var it Iteration
	weights := x.run(starts)
	last := lastOf(weights.end)
	it.Jobs += starts[last]
	it.getWeights = weights.end[last] - starts[last]
	asked := weights.asking(last) * it.getWeights
	it.LookUps += asked
	it.GetWeights = it.getWeights - asked
	it.Compute += (s.batch*s.model.Sample + params*c.Compress) * share

	gradients := x.run(starts)
	last = lastOf(gradients.end)
	it.Jobs += starts[last]
	waited := gradients.end[last] - starts[last]
	asked = gradients.asking(last) * waited
	it.LookUps += asked
	sum := x.block * (n - 1) * c.Sum * share
	it.Aggregate = waited - asked + sum
	it.aggregate = waited + sum
	it.Compute += params / n * c.Update * crowding

	it.Bytes = weights.bytes + gradients.bytes
	it.Seconds = it.Compute + it.LookUps + it.GetWeights + it.Aggregate + it.Jobs
	return it
}

// asking is the part of an executor's fetches, in time, that went into look-ups.
func (p passed) asking(executor int) float64 {
	if p.fetches[executor] == 0 {
		return 0
	}
	return p.lookups[executor] / p.fetches[executor]
}

func lastOf(ends []float64) int {
	last := 0
	for i, e := range ends {
		if e > ends[last] {
			last = i
		}
	}
	return last
}
