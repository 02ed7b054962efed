//go:build e2e || rdma

package e2e

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// shuffleManager is the one key that a user of weft sets, beside the class paths.
const shuffleManager = "org.apache.spark.shuffle.weft.WeftShuffleManager"

// Conf are Spark's keys.
type Conf map[string]string

// With returns a copy with more keys.
func (c Conf) With(more Conf) Conf {
	all := maps.Clone(c)
	maps.Copy(all, more)
	return all
}

// flags are those of spark-submit.
func (c Conf) flags() (flags []string) {
	for _, key := range slices.Sorted(maps.Keys(c)) {
		flags = append(flags, "--conf", key+"="+c[key])
	}
	return flags
}

// connectedLine is what Spark logs of any application; weft.it.Jobs prints its id, others do not.
var connectedLine = regexp.MustCompile(`Connected to Spark cluster with app ID (\S+)`)

// Stock is a small application on Spark as it comes.
var Stock = Conf{"spark.executor.memory": "1g", "spark.driver.memory": "1g"}

// WithWeft is the same application with weft, as a user sets it up.
func (c *Cluster) WithWeft() Conf {
	return Stock.With(Conf{
		"spark.shuffle.manager":         shuffleManager,
		"spark.driver.extraClassPath":   c.WeftJar(),
		"spark.executor.extraClassPath": c.WeftJar(),
	})
}

// shortGrace lets daemons leave soon after the application, where a test waits for that.
var shortGrace = Conf{"spark.weft.daemon.grace": "1s"}

// Run is an application of weft.it.Jobs.
type Run struct {
	App     string            // Spark's id of it
	Results map[string]string // by job: digest and count
	Driver  string            // the driver's log

	cluster *Cluster
	markers string
	stdout  output
	stderr  output
	cancel  func() // ends it, and what waits for it
	ended   chan struct{}
	err     error
}

// output is what a program printed so far, for who reads while it runs.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// limit is for one application, many times what it takes.
const limit = 15 * time.Minute

// Submit runs jobs (weft.it.Jobs names them) in one application to their end. A job that fails fails the test.
func (c *Cluster) Submit(t testing.TB, conf Conf, jobs ...string) *Run {
	t.Helper()
	r := c.Start(t, conf, jobs...)
	r.Wait(t)
	return r
}

// Start is Submit without waiting. Jobs stop at their markers: see Await and Release.
func (c *Cluster) Start(t testing.TB, conf Conf, jobs ...string) *Run {
	t.Helper()
	return c.start(t, conf, "", jobs)
}

// StartStopping is Start for jobs that stop at their markers; see Await and Release.
func (c *Cluster) StartStopping(t testing.TB, conf Conf, jobs ...string) *Run {
	t.Helper()
	markers, err := os.MkdirTemp(c.dir, "markers-")
	if err != nil {
		t.Fatal(err)
	}
	return c.start(t, conf, markers, jobs)
}

func (c *Cluster) start(t testing.TB, conf Conf, markers string, jobs []string) *Run {
	t.Helper()
	return c.launch(t, markers, c.arguments(conf, markers, jobs))
}

// launch runs spark-submit with these arguments.
func (c *Cluster) launch(t testing.TB, markers string, args []string) *Run {
	t.Helper()
	r := &Run{cluster: c, markers: markers, ended: make(chan struct{})}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	r.cancel = cancel
	cmd := c.command(ctx, "submit", args...)
	cmd.Stdout, cmd.Stderr = &r.stdout, &r.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer cancel()
		r.err = cmd.Wait()
		close(r.ended)
	}()
	t.Cleanup(func() {
		cancel()
		<-r.ended
	})
	return r
}

// arguments are those of spark-submit.
func (c *Cluster) arguments(conf Conf, markers string, jobs []string) []string {
	args := append([]string{"--class", "weft.it.Jobs"}, conf.flags()...)
	args = append(args, filepath.Join(c.dir, "weft-it.jar"))
	if markers != "" {
		args = append(args, "--marker-dir", markers)
	}
	return append(args, strings.Join(jobs, ","))
}

var (
	appLine    = regexp.MustCompile(`(?m)^APP (\S+)$`)
	resultLine = regexp.MustCompile(`(?m)^RESULT (\S+) (\S+ \d+)$`)
)

// Wait waits for the application's end, and fails the test where a job failed.
func (r *Run) Wait(t testing.TB) {
	t.Helper()
	<-r.ended
	r.Driver = r.stderr.String()
	r.Results = map[string]string{}
	if m := appLine.FindStringSubmatch(r.stdout.String()); m != nil {
		r.App = m[1]
	}
	for _, m := range resultLine.FindAllStringSubmatch(r.stdout.String(), -1) {
		r.Results[m[1]] = m[2]
	}
	if r.err != nil {
		t.Fatalf("the application %s ended with %v; its driver's last lines:\n%s", r.App, r.err, tail(r.Driver, 40))
	}
}

// Await waits until the job has made a marker; it fails when the application ends first.
func (r *Run) Await(t testing.TB, marker string) {
	t.Helper()
	for {
		if _, err := os.Stat(filepath.Join(r.markers, marker)); err == nil {
			return
		}
		select {
		case <-r.ended:
			r.Wait(t)
			t.Fatalf("the application ended before it reached %q", marker)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// Release makes the marker that the job waits for.
func (r *Run) Release(t testing.TB, marker string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(r.markers, marker), nil, 0o644); err != nil {
		t.Fatal(err)
	}
}

// ExecutorLogs returns the logs of the application's executors by "host/executor".
func (r *Run) ExecutorLogs(t testing.TB) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(r.cluster.dir, "h*/executors", r.App, "*/stderr.log"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no logs of the executors of %s: %v", r.App, err)
	}
	logs := map[string]string{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parts := strings.Split(file, "/")
		logs[fmt.Sprintf("%s/%s", parts[len(parts)-5], parts[len(parts)-2])] = string(b)
	}
	return logs
}

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
