package model

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"go.yaml.in/yaml/v3"
)

// Costs is what the model reckons with. Times are in seconds, of one core where cores share the work, and rates in 1e9 bits per second.
type Costs struct {
	Cores            int                  `yaml:"cores"`            // of a node; each node has one executor
	ComputeCores     float64              `yaml:"compute_cores"`    // a node computes samples at most as fast as so many cores would, each alone
	Link             float64              `yaml:"link_gbit_s"`      // of a node, each way
	Oversubscription float64              `yaml:"oversubscription"` // the links of all nodes over what the network between them carries
	Fetches          int                  `yaml:"fetches"`          // that an executor has under way
	Driver           Driver               `yaml:"driver"`
	Compress         float64              `yaml:"compress_s"` // a parameter's gradient
	Update           float64              `yaml:"update_s"`   // a parameter's weight, by one thread
	Sum              float64              `yaml:"sum_s"`      // a fetched byte of a gradient
	Models           map[string]Model     `yaml:"models"`
	Transports       map[string]Transport `yaml:"transports"`

	sharedCores int // of the one machine that all executors run on; 0: each has its own
}

// Driver is what Spark's driver costs.
type Driver struct {
	Job           float64 `yaml:"job_s"`            // an iteration has two
	Task          float64 `yaml:"task_s"`           // launched one after the other, one to an executor
	LookUp        float64 `yaml:"lookup_s"`         // round trip of a look-up at an idle driver, less its service
	LookUpService float64 `yaml:"lookup_service_s"` // the driver answers one at a time
}

// Model is a neural network.
type Model struct {
	Parameters int     `yaml:"parameters"`
	Sample     float64 `yaml:"sample_s"` // forward and backward
}

// Transport is how blocks come from another executor.
type Transport struct {
	Fetch float64 `yaml:"fetch_s"` // of a fetch, beside the time of its bytes
	Rate  float64 `yaml:"gbit_s"`  // into and out of an executor, each; the link may allow less
}

//go:embed costs.yaml
var defaults []byte

// Default is the costs that docs/model.md explains.
func Default() Costs {
	c, err := parse(defaults, Costs{})
	if err != nil {
		panic(fmt.Sprintf("the embedded costs: %v", err)) // a test reads them
	}
	return c
}

// Load reads a YAML file of costs; what it leaves out is as in Default, but an entry of models or transports is whole. Its error lists everything that is wrong.
func Load(file string) (Costs, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return Costs{}, err
	}
	c, err := parse(b, Default())
	if err != nil {
		return Costs{}, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

func parse(b []byte, c Costs) (Costs, error) {
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil && !errors.Is(err, io.EOF) {
		return c, err
	}
	return c, c.Validate()
}

// Validate lists everything that is wrong, one line each.
func (c Costs) Validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	positive := func(key string, v float64) { check(v > 0 && v < 1e9, "%s has to be greater than 0, not %v", key, v) }
	notNegative := func(key string, v float64) { check(v >= 0 && v < 1e9, "%s must not be negative: %v", key, v) }
	check(c.Cores >= 1, "cores has to be at least 1, not %d", c.Cores)
	positive("compute_cores", c.ComputeCores)
	check(c.Fetches >= 1, "fetches has to be at least 1, not %d", c.Fetches)
	check(c.Oversubscription >= 1 && c.Oversubscription < 1e9, "oversubscription has to be at least 1 (a network that carries all links), not %v", c.Oversubscription)
	positive("link_gbit_s", c.Link)
	notNegative("driver.job_s", c.Driver.Job)
	notNegative("driver.task_s", c.Driver.Task)
	notNegative("driver.lookup_s", c.Driver.LookUp)
	notNegative("driver.lookup_service_s", c.Driver.LookUpService)
	notNegative("compress_s", c.Compress)
	notNegative("update_s", c.Update)
	notNegative("sum_s", c.Sum)
	check(len(c.Models) > 0, "models is empty")
	for _, name := range sorted(c.Models) {
		m := c.Models[name]
		check(m.Parameters >= 1, "models.%s.parameters has to be at least 1, not %d", name, m.Parameters)
		notNegative("models."+name+".sample_s", m.Sample)
	}
	check(len(c.Transports) > 0, "transports is empty")
	for _, name := range sorted(c.Transports) {
		t := c.Transports[name]
		notNegative("transports."+name+".fetch_s", t.Fetch)
		positive("transports."+name+".gbit_s", t.Rate)
	}
	return errors.Join(errs...)
}

func sorted[V any](m map[string]V) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// link is the bytes per second into or out of an executor.
func (c Costs) link(t Transport) float64 { return min(c.Link, t.Rate) * 1e9 / 8 }

// core is the bytes per second that all executors move together; 0 is no limit. On one machine, it is what its cores move.
func (c Costs) core(executors int, t Transport) float64 {
	switch {
	case c.sharedCores > 0:
		return float64(c.sharedCores) * c.link(t)
	case c.Oversubscription > 1:
		return float64(executors) * c.Link * 1e9 / 8 / c.Oversubscription
	}
	return 0
}

// computing is how many cores' worth a node computes samples with: its cores share the way to memory.
func (c Costs) computing() float64 { return min(float64(c.Cores), c.ComputeCores) }

// crowding is how much longer a thread takes because the executors have fewer cores than they believe.
func (c Costs) crowding(executors int) float64 {
	if c.sharedCores == 0 {
		return 1
	}
	return max(1, float64(executors*c.Cores)/float64(c.sharedCores))
}
