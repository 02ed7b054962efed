package shuffle

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"weft/bench/cluster"
	"weft/bench/summary"
)

// Config is one run of the benchmark.
type Config struct {
	Root        string // of the source tree: scripts/ and build/ lie there
	Spark       string // version
	Out         string // directory of the results
	Jobs, Impls []string
	Size        Size // for all jobs; what is 0 is the job's own
	Rounds      int
	Hosts       int               // with an executor of one core each; Local has one with all cores
	Executor    string            // memory of an executor, as Spark writes it
	Conf        map[string]string // further Spark keys
	Rate, Delay string            // of every host's link; empty: as it is
	Limit       time.Duration     // for one application
	Resume      bool              // keep the rounds that shuffle.json has
	Progress    io.Writer
}

func (c Config) link() string {
	switch {
	case c.Rate == "" && c.Delay == "":
		return "as is"
	case c.Delay == "":
		return "rate " + c.Rate
	case c.Rate == "":
		return "delay " + c.Delay
	}
	return "rate " + c.Rate + " delay " + c.Delay
}

// plan is all runs in their order: round by round and job by job, the implementations taking turns in who goes first.
func (c Config) plan() (all []Record) {
	for round := 1; round <= c.Rounds; round++ {
		for _, name := range c.Jobs {
			j, err := findJob(name)
			if err != nil {
				panic(err) // Validate was not called
			}
			for k := range c.Impls {
				impl := c.Impls[(k+round-1)%len(c.Impls)]
				executors, _, _ := c.executors(impl)
				all = append(all, Record{
					Job: name, Spark: c.Spark, Impl: impl, Link: c.link(), Conf: c.Conf, Executors: executors,
					Size: j.size.over(c.Size), Round: round,
				})
			}
		}
	}
	return all
}

// Run starts the hosts, runs what is to be run, and returns the records of all of it, those of failed runs, too. After each it writes
// shuffle.json, at the end shuffle.txt (Go benchmark format), to c.Out. Its error is of what ended it; a failed run does not.
func Run(ctx context.Context, c Config) (rs []Record, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if devices, _ := filepath.Glob("/sys/class/infiniband/*"); slices.Contains(c.Impls, "weft-rdma") && len(devices) == 0 {
		return nil, errors.New("weft-rdma: this machine has no RDMA device (/sys/class/infiniband)")
	}
	for _, dir := range []*string{&c.Root, &c.Out} { // executors have another working directory
		if *dir, err = filepath.Abs(*dir); err != nil {
			return nil, err
		}
	}
	cl, err := cluster.Of(c.Root, filepath.Join(c.Out, "shuffle-hosts"))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return nil, err
	}
	path := filepath.Join(c.Out, "shuffle.json")
	var kept []Record
	if c.Resume {
		if kept, err = readRecords(path); err != nil {
			return nil, err
		}
	}
	log, err := os.Create(filepath.Join(c.Out, "shuffle.log"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	cl.Log = log
	down := func() error { return cl.Run(context.WithoutCancel(ctx), "down") }
	if err := errors.Join(down(), os.RemoveAll(cl.Dir)); err != nil {
		return nil, err
	}
	fmt.Fprintf(c.Progress, "starting %d hosts with Spark %s, link %s (log: %s)\n", c.Hosts, c.Spark, c.link(), log.Name())
	defer func() { err = errors.Join(err, down()) }()
	if err := cl.Run(ctx, "up", c.upArgs()...); err != nil {
		return nil, err
	}
	rs, err = c.runAll(ctx, kept, path, func(ctx context.Context, r *Record) error { return c.measure(ctx, cl, r) })
	if err != nil {
		return rs, err
	}
	txt, err := os.Create(filepath.Join(c.Out, "shuffle.txt"))
	if err != nil {
		return rs, err
	}
	return rs, errors.Join(WriteGoBench(txt, rs), txt.Close())
}

func (c Config) upArgs() []string {
	cores, memory := 1, c.Executor // of the largest executor
	if slices.Contains(c.Impls, Local) {
		_, cores, memory = c.executors(Local)
	}
	args := []string{"--spark", c.Spark, "--hosts", fmt.Sprint(c.Hosts), "--cores", fmt.Sprint(cores), "--memory", memory}
	if c.Rate != "" {
		args = append(args, "--rate", c.Rate)
	}
	if c.Delay != "" {
		args = append(args, "--delay", c.Delay)
	}
	return args
}

// runAll goes through the plan.
func (c Config) runAll(ctx context.Context, kept []Record, path string, measure func(context.Context, *Record) error) (rs []Record, err error) {
	plan, start, ran := c.plan(), time.Now(), 0
	for i, r := range plan {
		if old, ok := whole(kept, plan, r); ok {
			rs = append(rs, old)
			continue
		}
		if err := measure(ctx, &r); ctx.Err() != nil {
			return rs, context.Cause(ctx)
		} else if err != nil {
			r = failed(r, err)
		}
		r = agreed(r, rs)
		rs = append(rs, r)
		ran++
		if err := summary.WriteJSON(path, rs); err != nil {
			return rs, err
		}
		left := time.Since(start) / time.Duration(ran) * time.Duration(len(plan)-i-1)
		fmt.Fprintf(c.Progress, "%d of %d: round %d, %s by %s: %s; about %s left\n", i+1, len(plan), r.Round, r.Job, r.Impl, r.outcome(), left.Round(time.Second))
	}
	return rs, nil
}

// whole finds what an earlier run has of r, as long as it has all implementations of that job in that round: ratios are taken within one.
func whole(kept, plan []Record, r Record) (found Record, ok bool) {
	for _, p := range plan {
		if p.Job != r.Job || p.Round != r.Round {
			continue
		}
		have := false
		for _, k := range kept {
			if k.same(p) && k.Failure == "" {
				have = true
				if p.Impl == r.Impl {
					found = k
				}
			}
		}
		if !have {
			return Record{}, false
		}
	}
	return found, true
}

// failed is r without figures.
func failed(r Record, why error) Record {
	return Record{
		Job: r.Job, Spark: r.Spark, Impl: r.Impl, Link: r.Link, Conf: r.Conf, Executors: r.Executors, Size: r.Size, Round: r.Round, Failure: why.Error(),
	}
}

// agreed is r, failed where its result is not that of the job's runs before.
func agreed(r Record, before []Record) Record {
	for _, b := range before {
		if b.Job == r.Job && b.Failure == "" && r.Failure == "" && b.Checksum != r.Checksum {
			return failed(r, fmt.Errorf("its result %s is not %s's: %s", r.Checksum, b.Impl, b.Checksum))
		}
	}
	return r
}

func (r Record) outcome() string {
	if r.Failure != "" {
		return "FAILED: " + r.Failure
	}
	return fmt.Sprintf("write %.2f s, read %.2f s", r.Write, r.Read)
}
