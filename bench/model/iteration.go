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
	// As BigDL's own metrics have them: means of all executors, with their look-ups.
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
	// Gradients are fetched as weights are: as many blocks of the same size, of the same owners. After its fetches each executor has the same to
	// do, so that the last to have its blocks ends last.
	blocks := x.run(starts)
	last := lastOf(blocks.end)
	waited := blocks.end[last] - starts[last]
	asked := blocks.asking(last) * waited
	sum := x.block * (n - 1) * c.Sum * share
	it := Iteration{
		Compute:    s.batch*s.model.Sample*crowding/c.computing() + params*c.Compress*share + params/n*c.Update*crowding,
		LookUps:    2 * asked,
		GetWeights: waited - asked,
		Aggregate:  waited - asked + sum,
		Jobs:       2 * starts[last],
		Bytes:      2 * blocks.bytes,
	}
	it.Seconds = it.Compute + it.LookUps + it.GetWeights + it.Aggregate + it.Jobs
	for e, end := range blocks.end {
		it.getWeights += (end - starts[e]) / n
	}
	it.aggregate = it.getWeights + sum
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
