package train

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"weft/bench/result"
	"weft/bigdl/data"
)

// harness is one whose hosts are testdata/cluster. calls gives what that was called for since it was last asked.
func harness(t *testing.T) (c Config, progress *bytes.Buffer, calls func() string) {
	t.Helper()
	root, log := t.TempDir(), filepath.Join(t.TempDir(), "calls")
	script, err := os.ReadFile("testdata/cluster")
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Mkdir(filepath.Join(root, "scripts"), 0o755),
		os.WriteFile(filepath.Join(root, "scripts/cluster"), script, 0o755)); err != nil { //nolint:gosec // a script
		t.Fatal(err)
	}
	bigdl, err := filepath.Abs("../../bigdl/testdata/lenet.log")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("CALLS", log)
	t.Setenv("LOG", bigdl)
	progress = new(bytes.Buffer)
	c = Config{
		Root: root, Out: filepath.Join(root, "out"), Data: Data{Size: data.Size{Train: 20, Test: 10}, Seed: 1}, Memory: "1g", Limit: time.Minute,
		Version: "v1", Progress: progress,
		Table: Table{
			Models: []string{"lenet"}, Impls: []string{Stock, WeftTCP}, Links: []string{AsIs}, Sparks: []string{"3.1.3"}, Executors: []int{2},
			Cores: []int{1}, Batches: []int{64}, Epochs: 1, Repeats: 1,
		},
	}
	return c, progress, func() string {
		b, _ := os.ReadFile(log) // none: it was not called
		_ = os.Remove(log)
		return string(b)
	}
}

func TestRun(t *testing.T) {
	c, _, calls := harness(t)
	runs, err := Run(t.Context(), c)
	if err != nil || len(runs) != 2 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	all := calls()
	if n := strings.Count(all, "up "); n != 1 || strings.Count(all, "submit ") != 2 || !strings.HasSuffix(all, "down \n") {
		t.Errorf("hosts were made %d times:\n%s", n, all)
	}
	stock, weft := runs[0], runs[1]
	for _, r := range runs {
		if r.Failure != "" || len(r.Iterations) != 3 || len(r.Epochs) != 1 || r.FetchWaitSeconds != 0.25 || r.Versions["java"] != "17.0.1" {
			t.Errorf("%+v", r)
		}
	}
	if stock.Impl != Stock || stock.Conf["spark.shuffle.manager"] != "" || stock.BytesWeft != 0 {
		t.Errorf("stock: %+v", stock)
	}
	if weft.BytesWeft != 2100 || weft.BytesNetty != 7 || weft.Fallbacks != 1 || weft.DriverLookups != 4 || weft.CachedLookups != 10 || weft.ParameterFetchSeconds != 0.003 {
		t.Errorf("weft: %+v", weft)
	}
	if stock.Conf["spark.driver.extraClassPath"]+":"+filepath.Join(c.Root, "build/weft-spark.jar") == weft.Conf["spark.driver.extraClassPath"] ||
		!strings.Contains(weft.Conf["spark.driver.extraClassPath"], "weft-spark.jar") {
		t.Errorf("class paths: %s\n%s", stock.Conf["spark.driver.extraClassPath"], weft.Conf["spark.driver.extraClassPath"])
	}
	if _, err := os.Stat(filepath.Join(c.Out, "train.json")); err != nil {
		t.Error(err)
	}
}

// A table goes on where it was. Where an arm failed, its repeat is run again, as a ratio is of runs that followed each other.
func TestRunGoesOn(t *testing.T) {
	c, progress, calls := harness(t)
	submitted := func(what string, failed, want int) {
		t.Helper()
		calls()
		runs, err := Run(t.Context(), c)
		if err != nil || Failed(runs) != failed {
			t.Fatalf("%s: %v, %d failed of %+v", what, err, Failed(runs), runs)
		}
		if all := calls(); strings.Count(all, "submit ") != want {
			t.Errorf("%s: not %d runs:\n%s", what, want, all)
		}
	}
	submitted("a new table", 0, 2)
	submitted("the same", 0, 0)
	c.Table.Repeats = 2
	t.Setenv("FAIL", "weft")
	submitted("a second repeat", 1, 2)
	if !strings.Contains(progress.String(), "FAILED: ") || !strings.Contains(progress.String(), "no memory of that size") {
		t.Errorf("it is not told:\n%s", progress)
	}
	t.Setenv("FAIL", "")
	submitted("an arm failed", 0, 2)
	submitted("nothing is left to do", 0, 0)
	c.Conf = map[string]string{"spark.weft.fetch.timeout": "1s"}
	submitted("other settings", 0, 4)
	c.Version = "v2"
	submitted("another weft", 0, 4)
}

func TestWeftThatBroughtNothing(t *testing.T) {
	c, _, _ := harness(t)
	t.Setenv("WEFT_BYTES", "0")
	runs, err := Run(t.Context(), c)
	if err != nil || Failed(runs) != 1 || !strings.Contains(runs[1].Failure, "no block came by weft") {
		t.Errorf("%v: %+v", err, runs)
	}
}

func TestFoldersThatHostsDoNotSee(t *testing.T) {
	c, _, _ := harness(t)
	c.Root = "/elsewhere"
	for _, folder := range []*string{&c.Out, &c.Data.Folder} {
		*folder = "/tmp/x"
		if _, err := Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), "of its own") {
			t.Errorf("%v", err)
		}
		*folder = ""
	}
}

func TestRunThatHangs(t *testing.T) {
	c, _, _ := harness(t)
	fifo := filepath.Join(t.TempDir(), "never") // reading it never ends
	if err := mkfifo(fifo); err != nil {
		t.Fatal(err)
	}
	t.Setenv("LOG", fifo)
	c.Table.Impls, c.Limit = []string{Stock}, 100*time.Millisecond
	runs, err := Run(t.Context(), c)
	if err != nil || len(runs) != 1 || !strings.Contains(runs[0].Failure, "--limit") ||
		!strings.Contains(runs[0].Failure, "no iteration was seen: are 2 executors of 1 core(s) and 1g free there?") {
		t.Errorf("%+v, %v", runs, err)
	}
}

func TestTableOfRuns(t *testing.T) {
	run := func(impl string, repeat int, seconds float64) result.Run {
		return result.Run{
			Config: result.Config{Model: "lenet", Data: "d", Spark: "3.1.3", Impl: impl, Link: AsIs, Executors: 2, Cores: 1, Batch: 64, Repeat: repeat}, Seconds: seconds,
			Iterations: []result.Iteration{{N: 1}, {N: 2, Seconds: seconds / 10, GetWeightsSeconds: 0.01, AggregateSeconds: seconds / 100}},
		}
	}
	failed := run(WeftTCP, 2, 0)
	failed.Failure = "exit status 1"
	var out bytes.Buffer
	if err := WriteTable(&out, []result.Run{run(Stock, 1, 20), run(WeftTCP, 1, 10), run(Stock, 2, 30), failed}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"FAILED: exit status 1", "2.00 (one pair)", "1.91 (one pair)"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out.String())
		}
	}
}
