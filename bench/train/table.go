// Package train is the harness: it trains BigDL's models on hosts of this machine or on a cluster, stock Spark beside weft, a run for each row of a table, and
// keeps what each gave (bench/result). Runs of one comparison follow each other, so that what else the machine does falls on all of them.
package train

import (
	"errors"
	"fmt"
	"regexp"
	"slices"

	"weft/bench/result"
	"weft/bigdl"
)

// Implementations.
const (
	Stock    = "stock"
	WeftTCP  = "weft-tcp"
	WeftRDMA = "weft-rdma" // where there are devices: on a cluster, not on hosts of this machine
)

// Table says which runs there are: all combinations, each Repeats times.
type Table struct {
	Master     string // URL of a standalone Master that runs already; "": hosts of this machine are made
	Models     []string
	Impls      []string
	Links      []string // see Link
	Sparks     []string
	Executors  []int // one to a host
	Cores      []int // of each executor
	Batches    []int // records of an iteration, of all executors
	Epochs     int
	Iterations int // 0: by Epochs alone
	Seed       int64
	Repeats    int
}

var masterURL = regexp.MustCompile(`^spark://[^/,]+:[0-9]+(,[^/,]+:[0-9]+)*$`)

// Validate lists all that is wrong.
func (t Table) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	for _, list := range []struct {
		name string
		n    int
	}{
		{"model", len(t.Models)},
		{"impl", len(t.Impls)},
		{"link", len(t.Links)},
		{"spark", len(t.Sparks)},
		{"executors", len(t.Executors)},
		{"cores", len(t.Cores)},
		{"batch", len(t.Batches)},
	} {
		if list.n == 0 {
			bad("--%s names nothing to run", list.name)
		}
	}
	for _, name := range t.Models {
		if _, err := bigdl.Find(name); err != nil {
			errs = append(errs, err)
		}
	}
	for _, impl := range t.Impls {
		switch {
		case impl == WeftRDMA && t.Master == "":
			bad("%s: the hosts of this machine are network namespaces and have no RDMA device; train on a cluster that has (--master), `make test-rdma` does over soft-RoCE", impl)
		case impl != Stock && impl != WeftTCP && impl != WeftRDMA:
			bad("unknown implementation %q; there are %s, %s and %s", impl, Stock, WeftTCP, WeftRDMA)
		}
	}
	if t.Master != "" && !masterURL.MatchString(t.Master) {
		bad("--master is spark://HOST:PORT, a standalone Master, not %q: BigDL understands no local-cluster, local has no network, and nothing else was tried", t.Master)
	}
	for _, name := range t.Links {
		if t.Master != "" && name != AsIs {
			bad("--link %s: only links of hosts on this machine are shaped; leave it out with --master, whose links are as they are", name)
		}
		if _, err := ParseLink(name, 1); err != nil {
			errs = append(errs, err)
		}
	}
	for _, spark := range t.Sparks {
		if !slices.Contains([]string{"3.1.3", "3.5.9"}, spark) {
			bad("BigDL 2.4 is for Spark 3.1.3 and runs on 3.5.9, not on %s", spark)
		}
	}
	for _, n := range t.Executors {
		if n < 2 {
			bad("--executors is at least 2, not %d: one alone fetches nothing", n)
		} else if n > 4 && t.Master == "" {
			bad("--executors is 2, 3 or 4 (one to a host of this machine), not %d", n)
		}
	}
	for _, n := range t.Cores {
		if n < 1 {
			bad("--cores is at least 1, not %d", n)
		}
	}
	for _, batch := range t.Batches {
		for _, n := range t.Executors {
			for _, cores := range t.Cores {
				if batch < 1 || n > 0 && cores > 0 && batch%(n*cores) != 0 {
					bad("a batch of %d cannot be divided among %d executors of %d core(s)", batch, n, cores)
				}
			}
		}
	}
	if t.Epochs < 1 {
		bad("--epochs is at least 1, not %d", t.Epochs)
	}
	if t.Iterations < 0 {
		bad("--iterations is not negative: %d", t.Iterations)
	}
	if t.Repeats < 1 {
		bad("--repeats is at least 1, not %d", t.Repeats)
	}
	return errors.Join(errs...)
}

// row is one run, and the link under the name that its Config has.
type row struct {
	result.Config
	link Link
}

// rows are the runs in their order: those that share hosts follow each other, and of these the arms of a comparison. Every second repeat has
// its arms the other way round. The table is valid; data says in words what a model is trained on.
func (t Table) rows(data func(model string) string) (rows []row) {
	for _, spark := range t.Sparks {
		for _, executors := range t.Executors {
			for _, cores := range t.Cores {
				for _, name := range t.Links {
					link, _ := ParseLink(name, cores)
					link = link.of(t.Master)
					hosts := result.Config{
						Spark: spark, Executors: executors, Cores: cores, Link: link.Name, Epochs: t.Epochs, Iterations: t.Iterations, Seed: t.Seed,
					}
					for _, c := range t.arms(hosts, data) {
						rows = append(rows, row{c, link})
					}
				}
			}
		}
	}
	return rows
}

func (t Table) arms(c result.Config, data func(model string) string) (rows []result.Config) {
	for c.Repeat = 1; c.Repeat <= t.Repeats; c.Repeat++ {
		impls := slices.Clone(t.Impls)
		if c.Repeat%2 == 0 {
			slices.Reverse(impls)
		}
		for _, c.Model = range t.Models {
			c.Data = data(c.Model)
			for _, c.Batch = range t.Batches {
				for _, c.Impl = range impls {
					rows = append(rows, c)
				}
			}
		}
	}
	return rows
}
