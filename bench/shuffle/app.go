package shuffle

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"weft/bench/cluster"
)

const shuffleManager = "org.apache.spark.shuffle.weft.WeftShuffleManager"

// sparkConf are the keys of a run.
func (c Config) sparkConf(impl string) map[string]string {
	_, cores, memory := c.executors(impl)
	conf := map[string]string{
		"spark.executor.cores": strconv.Itoa(cores), "spark.cores.max": strconv.Itoa(c.Hosts), "spark.executor.memory": memory, "spark.driver.memory": "1g",
		// Map tasks run where their input is cached: what crosses the network is the shuffle. No task runs twice.
		"spark.locality.wait": "1h", "spark.task.maxFailures": "1", "spark.deploy.maxExecutorRetries": "0",
	}
	if byWeft(impl) {
		jar := filepath.Join(c.Root, "build/weft-spark.jar")
		conf["spark.shuffle.manager"], conf["spark.driver.extraClassPath"], conf["spark.executor.extraClassPath"] = shuffleManager, jar, jar
		conf["spark.weft.rdma.device"] = map[string]string{"weft-tcp": "none", "weft-rdma": "auto"}[impl]
	}
	maps.Copy(conf, c.Conf)
	return conf
}

func (c Config) submitArgs(r Record) []string {
	args := []string{"--class", "weft.bench.ShuffleBench"}
	conf := c.sparkConf(r.Impl)
	for _, k := range slices.Sorted(maps.Keys(conf)) {
		args = append(args, "--conf", k+"="+conf[k])
	}
	args = append(args, filepath.Join(c.Root, "build/weft-it.jar"), r.Job)
	for _, n := range []int{r.Maps, r.Reduces, r.Records, r.RecordBytes} {
		args = append(args, strconv.Itoa(n))
	}
	return args
}

// measure runs one application and fills in the record's figures.
func (c Config) measure(ctx context.Context, cl cluster.Cluster, r *Record) (err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Limit, fmt.Errorf("it took longer than %s", c.Limit))
	defer cancel()
	log, err := os.Create(filepath.Join(cl.Dir, "log", fmt.Sprintf("driver-%s-%s-%d.log", r.Job, r.Impl, r.Round)))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	cmd := cl.Command(ctx, "submit", c.submitArgs(*r)...)
	cmd.Stderr = log
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	app, talkErr := c.talk(ctx, cl, r, stdin, bufio.NewScanner(stdout))
	if talkErr != nil {
		cancel() // it need not go on
	}
	waitErr := cmd.Wait()
	if cause := context.Cause(ctx); talkErr != nil && cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	if err := errors.Join(talkErr, waitErr); err != nil {
		return fmt.Errorf("%w (log: %s)", err, log.Name())
	}
	return c.account(ctx, cl, r, app, log.Name())
}

// talk leads the application through its measured job; counters are read right before and after it.
func (c Config) talk(ctx context.Context, cl cluster.Cluster, r *Record, to io.Writer, from *bufio.Scanner) (app string, err error) {
	line, err := awaitLine(from, "APP ")
	if err != nil {
		return "", err
	}
	app = line
	if _, err := awaitLine(from, "READY"); err != nil {
		return "", err
	}
	before, cpu, err := c.counters(ctx, cl, r.Impl)
	if err != nil {
		return "", err
	}
	if _, err := io.WriteString(to, "go\n"); err != nil {
		return "", err
	}
	result, err := awaitLine(from, "RESULT ")
	if err != nil {
		return "", err
	}
	after, cpuAfter, err := c.counters(ctx, cl, r.Impl)
	if err != nil {
		return "", err
	}
	r.CPU, r.CPUWeft, r.BytesWeft = cpuAfter-cpu, after.cpu-before.cpu, after.across()-before.across()
	if r.Impl == "weft-rdma" && after.received["rdma"] == before.received["rdma"] {
		return "", errors.New("no block came by RDMA: the hosts have no device that they can use ('weft doctor' there says why)")
	}
	if r.Checksum, r.Total, err = parseResult(result); err != nil {
		return "", err
	}
	_, err = io.WriteString(to, "end\n")
	return app, err
}

// counters are the daemons' (none on stock Spark), and CPU seconds.
func (c Config) counters(ctx context.Context, cl cluster.Cluster, impl string) (got counters, cpu float64, err error) {
	if byWeft(impl) {
		if got, err = askDaemons(ctx, cl, filepath.Join(c.Root, "build/weft"), c.Hosts); err != nil {
			return got, 0, err
		}
	}
	cpu, err = cl.CPU(ctx)
	return got, cpu, err
}

// account reads what the ended application left.
func (c Config) account(ctx context.Context, cl cluster.Cluster, r *Record, app, driverLog string) error {
	events, err := os.Open(filepath.Join(cl.Dir, "events", app))
	if err != nil {
		return err
	}
	defer func() { _ = events.Close() }()
	if err := r.readEvents(bufio.NewReader(events)); err != nil {
		return err
	}
	if remote := r.RemoteBlocks > 0; remote == (r.Impl == Local) {
		return fmt.Errorf("%d blocks were fetched from another host: its executors were not where they should be", r.RemoteBlocks)
	}
	if !byWeft(r.Impl) {
		r.BytesNetty = r.RemoteBytes
		return nil
	}
	s, err := cl.Summaries(ctx, app, driverLog, c.Hosts)
	r.BytesNetty = s.NettyBytes
	return err
}

// awaitLine reads until a line begins so, and returns its rest.
func awaitLine(from *bufio.Scanner, prefix string) (string, error) {
	for from.Scan() {
		if rest, ok := strings.CutPrefix(from.Text(), prefix); ok {
			return rest, nil
		}
	}
	return "", fmt.Errorf("the application ended before it printed %q", strings.TrimSpace(prefix))
}

// parseResult takes apart "<checksum> <records> <seconds>".
func parseResult(line string) (checksum string, seconds float64, err error) {
	f := strings.Fields(line)
	if len(f) != 3 {
		return "", 0, fmt.Errorf("not a result: %q", line)
	}
	seconds, err = strconv.ParseFloat(f[2], 64)
	return f[0] + " " + f[1], seconds, err
}
