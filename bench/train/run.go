package train

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"weft/bench/cluster"
	"weft/bench/parquet"
	"weft/bench/result"
	"weft/bench/sample"
	"weft/bigdl"
)

// Config is one use of the harness.
type Config struct {
	Root  string // of the source tree: scripts/ and build/ lie there
	Out   string // folder of the results; runs that are there already are not repeated
	Table Table

	SparkHome string // with Table.Master: a distribution of the cluster's Spark; its spark-submit is run here
	NodeBuild string // with Table.Master: the folder of each of its hosts that has what build/ has; "": the same as here

	Data     Data
	Memory   string            // of each executor and of the driver, as Spark writes it
	Conf     map[string]string // further Spark keys
	Limit    time.Duration     // a run that takes longer has failed
	Version  string            // of weft
	Progress io.Writer
}

// Run runs all rows that are not there yet, and returns all runs of the table. A row that fails is a run that says so; the error is of what
// keeps the harness itself from going on.
func Run(ctx context.Context, c Config) (runs []result.Run, err error) {
	if err := c.findSpark(); err != nil {
		return nil, err
	}
	if err := c.Table.Validate(); err != nil {
		return nil, err
	}
	if err := c.paths(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(c.Out, "hosts.log"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	h, err := c.place(log)
	if err != nil {
		return nil, err
	}
	rows := c.Table.rows(c.Data.words)
	there, err := c.there(rows)
	if err != nil {
		return nil, err
	}
	p := newProgress(c.Progress, len(rows))
	defer func() { err = errors.Join(err, h.down(ctx)) }()
	for _, row := range rows {
		r, kept := there[row.Config]
		if !kept {
			if r, err = c.run(ctx, h, row, p); err != nil {
				return runs, err
			}
			if err := result.Save(c.Out, r); err != nil {
				return runs, err
			}
		}
		p.ended(r, kept)
		runs = append(runs, r)
		if err := c.write(); err != nil {
			return runs, err
		}
	}
	return runs, nil
}

// place is where the table's runs happen.
func (c Config) place(log io.Writer) (place, error) {
	if c.Table.Master != "" {
		return c.newMaster()
	}
	cl, err := cluster.Of(c.Root, filepath.Join(c.Out, "hosts"))
	cl.Log = log
	return &hosts{Cluster: cl, memory: c.Memory}, err
}

// paths makes them absolute, as the driver has another working directory, and checks that the hosts see them.
func (c *Config) paths() error {
	for _, dir := range []*string{&c.Root, &c.Out, &c.Data.Folder, &c.SparkHome, &c.NodeBuild} {
		if *dir == "" || strings.Contains(*dir, "://") {
			continue
		}
		abs, err := filepath.Abs(*dir)
		if err != nil {
			return err
		}
		if *dir = abs; c.Table.Master == "" && dir != &c.Root && !strings.HasPrefix(abs, c.Root+"/") && (strings.HasPrefix(abs, "/tmp/") || strings.HasPrefix(abs, "/run/")) {
			return fmt.Errorf("%s cannot be used: each host has a /tmp and a /run of its own; give another folder", abs)
		}
	}
	return nil
}

// there are the runs that need not be repeated: they were run with the same settings, weft and machine as now, and nothing is wrong with any arm of
// their repeat, since a ratio is of runs that followed each other.
func (c Config) there(rows []row) (map[result.Config]result.Run, error) {
	kept, wrong := map[result.Config]result.Run{}, map[result.Config]bool{}
	repeat := func(row result.Config) result.Config {
		row.Impl = ""
		return row
	}
	for _, row := range rows {
		r, ok, err := result.Load(c.Out, row.Config)
		if err != nil {
			return nil, err
		}
		if ok && r.Failure == "" && maps.Equal(r.Conf, c.conf(row.Config)) && r.Versions["weft"] == c.Version && r.Machine == machine() {
			kept[row.Config] = r
		} else {
			wrong[repeat(row.Config)] = true
		}
	}
	maps.DeleteFunc(kept, func(row result.Config, _ result.Run) bool { return wrong[repeat(row)] })
	return kept, nil
}

// logs is the folder of what a run logs.
func (c Config) logs(row result.Config) string { return filepath.Join(c.Out, "logs", row.ID()) }

// write writes the tables of all runs in the folder, also those of other tables.
func (c Config) write() error {
	runs, err := result.LoadAll(c.Out)
	if err != nil {
		return err
	}
	return errors.Join(result.WriteRows(c.Out, runs), parquet.Write(c.Out, runs))
}

// run runs a row.
func (c Config) run(ctx context.Context, h place, row row, p *progress) (result.Run, error) {
	logs := c.logs(row.Config)
	r := result.Run{
		Config: row.Config, Machine: machine(), Conf: c.conf(row.Config), Versions: map[string]string{"weft": c.Version, "bigdl": "dllib 2.4.0, core 2.3.0"},
	}
	r.Sampled = h.sampled()
	folder, err := c.Data.ready(ctx, row.Model, filepath.Join(c.Out, "data"), c.Table.Master != "")
	if err != nil {
		return r, err
	}
	if err := h.ready(ctx, row); err != nil {
		return r, err
	}
	if err := errors.Join(os.RemoveAll(logs), os.MkdirAll(logs, 0o755)); err != nil {
		return r, err
	}
	if err := bigdl.WriteLogging(logs); err != nil {
		return r, err
	}
	driver, err := os.Create(filepath.Join(logs, "driver.log"))
	if err != nil {
		return r, err
	}
	defer driver.Close()
	if err := h.idle(ctx); err != nil {
		return r, err
	}
	before, err := applications(h.eventLogs())
	if err != nil {
		return r, err
	}
	cpu, err := h.cpu(ctx)
	if err != nil {
		return r, err
	}
	sampled := time.Now()
	sampler, err := sample.Start(ctx, sample.Config{Since: sampled, List: h.processes, GPU: sample.NVIDIA()})
	if err != nil {
		return r, err
	}
	r.Started = time.Now().UTC()
	limited, cancel := context.WithTimeoutCause(ctx, c.Limit, fmt.Errorf("it took longer than --limit %s", c.Limit))
	defer cancel()
	cmd := h.submit(limited, c.submitArgs(row.Config, r.Conf, folder, logs)...)
	cmd.Stdout, cmd.Stderr = driver, driver
	stop := p.watch(row.Config, filepath.Join(logs, "bigdl.log"))
	failed := cmd.Run()
	stop()
	r.Seconds = time.Since(r.Started).Seconds()
	r.Samples, err = sampler.Stop()
	if err != nil {
		fmt.Fprintf(c.Progress, "  resources were not sampled all the time: %v\n", err)
	}
	for i := range r.Samples {
		r.Samples[i].At -= r.Started.Sub(sampled).Seconds()
	}
	if ctx.Err() != nil {
		return r, context.Cause(ctx)
	}
	if cause := context.Cause(limited); cause != nil {
		failed = cause
	}
	if failed != nil {
		r.Failure = fmt.Sprintf("%v: %s (log: %s)", failed, lastComplaint(driver.Name()), driver.Name())
		h.spoilt()
		_ = c.read(h, &r, logs, before) // as far as it came
		if len(r.Iterations) == 0 && context.Cause(limited) != nil {
			r.Failure += fmt.Sprintf("; no iteration was seen: are %d executors of %d core(s) and %s free there?", r.Executors, r.Cores, c.Memory)
		}
		return r, nil
	}
	after, err := h.cpu(ctx)
	r.CPUSeconds = after - cpu
	if err := errors.Join(err, c.read(h, &r, logs, before)); err != nil {
		r.Failure = fmt.Sprintf("%v (log: %s)", err, driver.Name())
	}
	return r, nil
}

// read fills in what a run's logs tell.
func (c Config) read(h place, r *result.Run, logs string, before []string) error {
	log, err := os.Open(filepath.Join(logs, "bigdl.log"))
	if err != nil {
		return fmt.Errorf("BigDL's log: %w", err)
	}
	defer log.Close()
	iterations, epochs, err := bigdl.ParseLog(log)
	if err != nil {
		return err
	}
	for _, i := range iterations {
		if math.IsNaN(i.Loss) || math.IsInf(i.Loss, 0) {
			r.Failure = fmt.Sprintf("the loss became %v in iteration %d", i.Loss, i.N)
			break
		}
		r.Iterations = append(r.Iterations, result.Iteration{
			N: i.N, Epoch: i.Epoch, End: i.End.Sub(r.Started).Seconds(), Seconds: i.Seconds, Records: i.Records, Loss: i.Loss,
			ComputeSeconds: i.Compute, GetWeightsSeconds: i.GetWeights, AggregateSeconds: i.AggregateGradient, PutSeconds: i.PutGradient,
		})
	}
	for _, e := range epochs {
		r.Epochs = append(r.Epochs, result.Epoch{N: e.N, End: e.End.Sub(r.Started).Seconds(), Accuracy: e.Accuracy})
	}
	app, err := newApplication(h.eventLogs(), before)
	if err != nil {
		return err
	}
	events, err := os.ReadFile(app)
	if err != nil {
		return err
	}
	if err := addEvents(r, events); err != nil {
		return err
	}
	if r.Failure != "" {
		return nil // an executor that was lost tells nothing
	}
	return readTraffic(h, r, filepath.Join(logs, "driver.log"))
}

// readTraffic fills in by which way blocks came.
func readTraffic(h place, r *result.Run, driver string) error {
	if h.sampled() != "" {
		r.Missing = "cpu_s"
	}
	log, err := os.ReadFile(driver)
	if err != nil {
		return err
	}
	t, err := readTold(log)
	if err != nil {
		return err
	}
	r.BytesWeft, r.BytesRDMA, r.BytesNetty, r.Fallbacks, r.DriverLookups, r.CachedLookups = t.WeftBytes, t.RDMABytes, t.NettyBytes, t.Fallbacks, t.DriverLookups, t.CachedLookups
	r.ParameterFetchSeconds = float64(t.ParameterMicros) / 1e6
	r.Device = t.device
	switch {
	case r.Impl == Stock && h.sampled() != "": // others' interfaces were not
		r.Missing += ",bytes_netty"
	case r.Impl == Stock:
		r.BytesNetty = received(r.Samples)
	}
	return t.check(r.Config)
}

// lastComplaint is the last line of a log that names an exception.
func lastComplaint(log string) string {
	b, err := os.ReadFile(log)
	if err != nil {
		return err.Error()
	}
	last := "no exception in its log"
	for line := range strings.Lines(string(b)) {
		if (strings.Contains(line, "Exception") || strings.Contains(line, "Error:")) && !strings.HasPrefix(line, "\t") {
			last = strings.TrimSpace(line)
		}
	}
	return last
}
