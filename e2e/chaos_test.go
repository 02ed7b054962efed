//go:build e2e

package e2e

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weft/internal/chaos"
)

var (
	chaosSeed   = flag.Uint64("chaos.seed", 59, "TestChaos: of jobs and faults; the first ten faults of 59 are of ten kinds")
	chaosFaults = flag.Int("chaos.faults", 10, "TestChaos: how many faults, at least")
	chaosFor    = flag.Duration("chaos.for", 0, "TestChaos: goes on for so long, at least")
	chaosScript = flag.String("chaos.script", "", "TestChaos: these faults and no others")
	chaosSoak   = flag.String("chaos.soak", "", "TestChaos: is a soak, whose fetch benchmark writes into this directory; see chaos_soak_test.go")
	chaosRecord = flag.String("chaos.record", "", "TestChaos: writes its record into this file")
)

const (
	// perApplication is how many faults an application suffers at most.
	perApplication = 10
	// jobLimit is for a job with a fault, many times what it takes.
	jobLimit = 4 * time.Minute
	// settling is how long a job waits for the recovery from the fault before, until it goes on without one of its own.
	settling = 5 * time.Second
)

// calmJobs run between those with a fault.
var calmJobs = []string{"groupByKey", "sortByKey", "join", "broadcast", "cachedrdd", "diskrdd", "aqesql"}

// chaosConf has Spark try again what faults take away, and notice soon what a link swallows.
var chaosConf = Conf{
	"spark.executor.cores":               "2",
	"spark.cores.max":                    "8",
	"spark.task.maxFailures":             "100",
	"spark.stage.maxConsecutiveAttempts": "100",
	"spark.weft.daemon.grace":            "1s",
	"spark.weft.fetch.timeout":           "5s",
	"spark.weft.peer.timeout":            "3s",
}

// chaosRun is a run of TestChaos.
type chaosRun struct {
	*Cluster
	rec  *chaos.Record
	next func() (chaos.Fault, bool) // false: there is none
	left int                        // faults to be drawn
	done []string                   // the faults so far
	jobs int                        // how many without a fault there were, for their labels
}

// TestChaos runs a random mix of jobs with random faults of processes, links and files, in one application after the other. Every job ends
// with stock Spark's result, blocks come by weft again after each fault, and nothing is left behind.
func TestChaos(t *testing.T) {
	c := &chaosRun{rec: chaos.NewRecord("whole hosts", *chaosSeed)}
	began := time.Now()
	c.draw(t, began)
	c.Cluster = cluster(t, "3.5.9", 2, "--cores", "4", "--conf", "spark.deploy.maxExecutorRetries=-1")
	t.Cleanup(func() { c.end(t, time.Since(began)) })
	for app := 0; ; app++ {
		first, more := c.next()
		if !more {
			break
		}
		if !t.Run(fmt.Sprint("application ", app), func(t *testing.T) { c.application(t, app, first) }) {
			break
		}
	}
}

// draw sets where faults come from: the script, or the seed, from which the hosts get them turn by turn.
func (c *chaosRun) draw(t *testing.T, began time.Time) {
	scripted, err := chaos.Parse(*chaosScript)
	if err != nil {
		t.Fatal(err)
	}
	if len(scripted) > 0 {
		c.next = func() (f chaos.Fault, ok bool) {
			if ok = len(scripted) > 0; ok {
				f, scripted = scripted[0], scripted[1:]
			}
			return f, ok
		}
		return
	}
	var kinds []chaos.Kind
	for _, k := range hostFaults {
		kinds = append(kinds, k.Kind)
	}
	schedule, host := chaos.NewSchedule(*chaosSeed, 0, kinds), 0
	c.left = *chaosFaults
	c.next = func() (chaos.Fault, bool) {
		if c.left <= 0 && time.Since(began) >= *chaosFor {
			return chaos.Fault{}, false
		}
		c.left--
		f := schedule.Next()
		host = host%2 + 1
		f.Way = soakHost(f, host)
		return f, true
	}
}

// end writes the record, and says how to have a failure again.
func (c *chaosRun) end(t *testing.T, took time.Duration) {
	if t.Failed() {
		c.rec.Fail("a job, or what it left; see the log")
		t.Logf("all: -chaos.seed=%d -chaos.faults=%d\nthese: -chaos.script='%s'", *chaosSeed, *chaosFaults, strings.Join(c.done, "; "))
	}
	run := c.rec.End(took)
	if err := chaos.Table(t.Output(), run); err != nil {
		t.Error(err)
	}
	if n := run.Faults(); *chaosScript == "" && n < *chaosFaults {
		t.Errorf("%d faults happened, of %d", n, *chaosFaults)
	}
	if *chaosRecord != "" {
		if err := run.Save(*chaosRecord); err != nil {
			t.Error(err)
		}
	}
}

// application runs jobs with faults, beginning with this one, and jobs without, turn by turn. Every second application has its map outputs
// outlive its executors.
func (c *chaosRun) application(t *testing.T, n int, first chaos.Fault) {
	faults := []chaos.Fault{first}
	for len(faults) < each() {
		f, more := c.next()
		if !more {
			break
		}
		faults = append(faults, f)
	}
	rng := rand.New(rand.NewPCG(*chaosSeed, uint64(1000+n)))
	var jobs []fault
	calm := func() {
		c.jobs++
		jobs = append(jobs, fault{name: fmt.Sprint("calm", c.jobs), job: calmJobs[rng.IntN(len(calmJobs))]})
	}
	for i, f := range faults {
		jobs = append(jobs, fault{name: fmt.Sprint("fault", n*each()+i), job: hostFaultOf(t, f).job})
		calm()
	}
	conf := c.WithWeft().With(chaosConf).With(soakConf()).With(Conf{"spark.weft.outlive": fmt.Sprint(n%2 == 1)})
	b := c.startBroken(t, conf, append(jobs, fault{name: fmt.Sprint("last", n), job: "bigblocks"}))
	var healing *recovery
	for i, f := range faults {
		b.job = jobs[2*i].name
		healing = c.suffer(t, b, f, healing)
	}
	b.job = fmt.Sprint("last", n)
	c.last(t, b, healing)
	b.checkResults(t, len(b.jobs))
	c.rec.Outcome("right_results", len(b.Results))
	sum := b.checkGivenBack(t)
	c.rec.Outcome("blocks_by_weft", int(sum.WeftBlocks))
	c.rec.Outcome("blocks_by_netty", int(sum.NettyBlocks))
	if *chaosSoak != "" {
		c.checkRest(t)
	} else {
		c.checkLeft(t)
	}
	c.checkKept(t)
	if *chaosSoak != "" && n%3 == 2 {
		benchFetch(t)
	}
}

// suffer has a fault happen in the present job, when all is well after the one before. It returns what recovers while the job ends.
func (c *chaosRun) suffer(t *testing.T, b *broken, f chaos.Fault, before *recovery) *recovery {
	t.Helper()
	c.await(t, b, "mapped")
	before.wait(t, settling)
	k := hostFaultOf(t, f)
	if k.moment(f) == "reducing" {
		b.Release(t, b.job+"/go")
		c.await(t, b, "reducing")
	}
	before.wait(t, settling)
	if !before.over() {
		t.Logf("%s: nothing is broken, as %s has not been recovered from yet", b.job, before.fault)
		b.release(t)
		c.left++
		return before
	}
	t.Logf("%s: %s", b.job, f)
	c.done = append(c.done, f.String())
	h := c.begin(f)
	k.do(t, &hostFault{broken: b, host: fmt.Sprint("h", f.Way), arg: f.Arg, recovery: h})
	b.release(t)
	h.lifted()
	return h
}

// last runs a job without a fault, by which the last fault must have been recovered from: blocks come by weft again.
func (c *chaosRun) last(t *testing.T, b *broken, healing *recovery) {
	t.Helper()
	c.await(t, b, "mapped")
	b.Release(t, b.job+"/go")
	c.await(t, b, "reducing")
	healing.wait(t, patience)
	if !healing.over() {
		t.Errorf("not recovered from %s within %v: %s", healing.fault, patience, healing.lacks())
	}
	b.Release(t, b.job+"/continue")
	select {
	case <-b.ended:
	case <-time.After(jobLimit):
		t.Fatalf("the application hangs in its last job\n%s", c.Script(t, "status"))
	}
	b.Wait(t)
}

// await is Await with a limit.
func (c *chaosRun) await(t *testing.T, b *broken, marker string) {
	t.Helper()
	reached := make(chan struct{})
	defer close(reached)
	hung := time.AfterFunc(jobLimit, func() {
		select {
		case <-reached:
		default:
			status, _ := c.script("status")
			t.Logf("job %s did not reach %q within %v\n%s", b.job, marker, jobLimit, status)
			b.cancel()
		}
	})
	defer hung.Stop()
	b.Await(t, b.job+"/"+marker)
}

// checkKept checks that no link to a map output is left.
func (c *Cluster) checkKept(t testing.TB) {
	t.Helper()
	c.eventually(t, "what was kept of executors is removed", func() bool {
		left, _ := filepath.Glob(filepath.Join(c.dir, "h*/tmp/*/weft-kept-*"))
		return len(left) == 0
	})
}
