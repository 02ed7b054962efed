package fetch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"weft/bench/cluster"
	"weft/bench/summary"
)

// Config is one run of the benchmark.
type Config struct {
	Root       string // of the source tree: scripts/ and build/ lie there
	Spark      string // version
	Out        string // directory of the results
	Rounds     int
	Row        time.Duration // how long each row is measured in each round
	BlockBytes []int
	Executor   string            // memory of an executor, as Spark writes it
	Conf       map[string]string // further Spark keys
	Progress   io.Writer
}

// Validate lists what cannot be measured.
func (c Config) Validate() error {
	var wrong []string
	check := func(ok bool, words string) {
		if !ok {
			wrong = append(wrong, words)
		}
	}
	check(c.Rounds > 0, "there must be at least one round")
	check(c.Row >= time.Millisecond, "a row is measured for a millisecond at least")
	check(len(c.BlockBytes) > 0 && slices.Min(c.BlockBytes) > 0, "there must be a block size, and each of a byte at least")
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "; "))
	}
	return nil
}

const shuffleManager = "org.apache.spark.shuffle.weft.WeftShuffleManager"

// Run starts two hosts, measures all rounds, writes fetch.json (medians), fetch-rounds.json and fetch.txt (Go benchmark format) to c.Out, and returns
// the rounds.
func Run(ctx context.Context, c Config) (rounds [][]Record, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	for _, dir := range []*string{&c.Root, &c.Out} { // executors have another working directory
		if *dir, err = filepath.Abs(*dir); err != nil {
			return nil, err
		}
	}
	hosts := filepath.Join(c.Out, "fetch-hosts")
	cl, err := cluster.Of(c.Root, hosts)
	if err != nil {
		return nil, err
	}
	control := filepath.Join(hosts, "control") // which all hosts see
	if err := errors.Join(os.RemoveAll(control), os.MkdirAll(control, 0o755)); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(c.Out, "fetch.log"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	cl.Log = log
	down := func() error { return cl.Run(context.WithoutCancel(ctx), "down") }
	if err := down(); err != nil {
		return nil, err
	}
	fmt.Fprintf(c.Progress, "starting two hosts with Spark %s (log: %s)\n", c.Spark, log.Name())
	defer func() { err = errors.Join(err, down()) }()
	if err := cl.Run(ctx, "up", "--spark", c.Spark, "--cores", "1", "--memory", c.Executor); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- cl.Run(ctx, "submit", c.submitArgs(control)...) }()
	if err := c.waitForExecutors(ctx, control, ended); err != nil {
		return nil, err
	}
	for n := 1; n <= c.Rounds; n++ {
		start := time.Now()
		rs, err := c.round(ctx, cl, control, n, ended)
		if err != nil {
			return rounds, err
		}
		rounds = append(rounds, rs)
		left := time.Duration(c.Rounds-n) * time.Since(start)
		fmt.Fprintf(c.Progress, "round %d of %d done, about %s left\n", n, c.Rounds, left.Round(time.Second))
	}
	if err := <-ended; err != nil {
		return rounds, err
	}
	return rounds, c.write(rounds)
}

func (c Config) submitArgs(control string) []string {
	jar := filepath.Join(c.Root, "build/weft-spark.jar")
	conf := map[string]string{
		"spark.shuffle.manager": shuffleManager, "spark.driver.extraClassPath": jar, "spark.executor.extraClassPath": jar,
		"spark.executor.cores": "1", "spark.cores.max": "2", "spark.executor.memory": c.Executor,
		"spark.scheduler.minRegisteredResourcesRatio": "1.0", "spark.locality.wait": "0s", "spark.deploy.maxExecutorRetries": "0",
	}
	for k, v := range c.Conf {
		conf[k] = v
	}
	args := []string{"--class", "weft.bench.FetchBench"}
	for k, v := range conf {
		args = append(args, "--conf", k+"="+v)
	}
	args = append(args, filepath.Join(c.Root, "build/weft-it.jar"), control, strconv.Itoa(c.Rounds), strconv.FormatInt(c.Row.Milliseconds(), 10))
	for _, b := range c.BlockBytes {
		args = append(args, strconv.Itoa(b))
	}
	return args
}

// startLimit is how long the two executors may take to begin. Spark itself waits for ever where no host has as much memory as they ask for.
const startLimit = 3 * time.Minute

// waitForExecutors waits until both, which Spark numbers from 0, have a task.
func (c Config) waitForExecutors(ctx context.Context, control string, ended <-chan error) error {
	for id := range 2 {
		err := waitFor(ctx, filepath.Join(control, fmt.Sprintf("prepare-%d", id)), ended, startLimit)
		if errors.Is(err, errLate) {
			return fmt.Errorf("executor %d has not begun after %v: look into the log, and whether each host has the %s that --executor-memory asks for", id, startLimit, c.Executor)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// round measures the raw limit, then lets the Spark job measure one round of its rows.
func (c Config) round(ctx context.Context, cl cluster.Cluster, control string, n int, ended <-chan error) ([]Record, error) {
	if err := waitFor(ctx, filepath.Join(control, "warm"), ended, 0); err != nil {
		return nil, err
	}
	var rs []Record
	for _, b := range c.BlockBytes {
		r, err := c.raw(ctx, cl, control, b)
		if err != nil {
			return nil, fmt.Errorf("raw loop of %d bytes: %w", b, err)
		}
		rs = append(rs, r)
	}
	if err := os.WriteFile(filepath.Join(control, fmt.Sprintf("round-%d", n)), nil, 0o644); err != nil {
		return nil, err
	}
	path := filepath.Join(control, fmt.Sprintf("result-%d.json", n))
	if err := waitFor(ctx, path, ended, 0); err != nil {
		return nil, err
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	more, err := ParseRecords(b)
	return append(rs, more...), err
}

func (c Config) write(all [][]Record) error {
	errs := []error{
		summary.WriteJSON(filepath.Join(c.Out, "fetch.json"), Medians(all)),
		summary.WriteJSON(filepath.Join(c.Out, "fetch-rounds.json"), all),
	}
	txt, err := os.Create(filepath.Join(c.Out, "fetch.txt"))
	if err != nil {
		return err
	}
	return errors.Join(append(errs, WriteGoBench(txt, all), txt.Close())...)
}
