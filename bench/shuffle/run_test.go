package shuffle

import (
	"context"
	"errors"
	"io"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func config() Config {
	return Config{Spark: "3.5.9", Jobs: []string{"groupby", "terasort"}, Impls: []string{"stock", "weft-tcp"}, Rounds: 2, Hosts: 2, Executor: "2G", Progress: io.Discard}
}

func names(rs []Record) (out []string) {
	for _, r := range rs {
		out = append(out, r.Job+" "+r.Impl)
	}
	return out
}

func TestImplementationsTakeTurns(t *testing.T) {
	want := []string{
		"groupby stock", "groupby weft-tcp", "terasort stock", "terasort weft-tcp",
		"groupby weft-tcp", "groupby stock", "terasort weft-tcp", "terasort stock",
	}
	if got := names(config().plan()); !reflect.DeepEqual(got, want) {
		t.Errorf("the order is %q", got)
	}
}

// Hosts have room for the largest executor, and each implementation the same cores in all.
func TestOneExecutorHasTheCoresOfAll(t *testing.T) {
	c := config()
	if args := strings.Join(c.upArgs(), " "); !strings.Contains(args, "--cores 1 --memory 2G") {
		t.Errorf("hosts are started with %s", args)
	}
	c.Impls = append(c.Impls, Local)
	if args := strings.Join(c.upArgs(), " "); !strings.Contains(args, "--cores 2 --memory 4G") {
		t.Errorf("hosts are started with %s", args)
	}
	for _, r := range c.plan() {
		if one := r.Impl == Local; one != (r.Executors == 1) {
			t.Errorf("%s has %d executors", r.Impl, r.Executors)
		}
	}
}

func TestSizesOfFlagsGoOverTheJobs(t *testing.T) {
	c := config()
	c.Size = Size{Reduces: 3}
	if got := c.plan()[2].Size; got != (Size{8, 3, 125000, 100}) {
		t.Errorf("terasort is %+v", got)
	}
}

// measureAll lets every run of c give the same result, but for those that fail.
func measureAll(c Config, kept []Record, path string, fail func(Record) error) (rs []Record, measured []Record, err error) {
	rs, err = c.runAll(context.Background(), kept, path, func(_ context.Context, r *Record) error {
		measured = append(measured, *r)
		r.Write, r.Checksum = 1, r.Job
		return fail(*r)
	})
	return rs, measured, err
}

func TestOthersGoOnAfterAFailure(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shuffle.json")
	rs, measured, err := measureAll(config(), nil, path, func(r Record) error {
		if r.Job == "groupby" && r.Impl == "weft-tcp" && r.Round == 1 {
			return errors.New("no daemon")
		}
		return nil
	})
	if err != nil || len(measured) != 8 || len(rs) != 8 || rs[1].Failure != "no daemon" || rs[1].Write != 0 || rs[4].Failure != "" {
		t.Fatalf("%d runs, %v: %+v", len(measured), err, rs)
	}
	if kept, err := readRecords(path); err != nil || !reflect.DeepEqual(kept, rs) {
		t.Errorf("the file has %+v, %v", kept, err)
	}
}

func TestAnotherResultIsAFailure(t *testing.T) {
	c := config()
	rs, err := c.runAll(context.Background(), nil, filepath.Join(t.TempDir(), "f"), func(_ context.Context, r *Record) error {
		r.Checksum = "right"
		if r.Impl == "weft-tcp" && r.Job == "terasort" {
			r.Checksum = "wrong"
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rs {
		if wrong := r.Impl == "weft-tcp" && r.Job == "terasort"; wrong != strings.Contains(r.Failure, "wrong is not stock's: right") {
			t.Errorf("%s by %s in round %d failed with %q", r.Job, r.Impl, r.Round, r.Failure)
		}
	}
}

func TestResumeMeasuresWhatIsMissing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shuffle.json")
	kept, _, err := measureAll(config(), nil, path, func(r Record) error {
		if r.Job == "groupby" && r.Impl == "weft-tcp" && r.Round == 1 {
			return errors.New("no daemon")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ok := func(Record) error { return nil }
	kept = kept[:len(kept)-1] // terasort stock, in round 2
	_, measured, err := measureAll(config(), kept, path, ok)
	if want := []string{"groupby stock", "groupby weft-tcp", "terasort weft-tcp", "terasort stock"}; err != nil || !reflect.DeepEqual(names(measured), want) {
		t.Errorf("resumed with %q, %v", names(measured), err)
	}
	other := config()
	other.Conf = map[string]string{"spark.x": "y"}
	if _, measured, _ = measureAll(other, kept, path, ok); len(measured) != 8 {
		t.Errorf("with other keys, only %q ran", names(measured))
	}
}

func TestInterruptedRunKeepsWhatItHas(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	path := filepath.Join(t.TempDir(), "shuffle.json")
	n := 0
	rs, err := config().runAll(ctx, nil, path, func(context.Context, *Record) error {
		if n++; n == 3 {
			cancel()
			return errors.New("killed")
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || len(rs) != 2 {
		t.Errorf("%d records and %v", len(rs), err)
	}
	if kept, err := readRecords(path); err != nil || len(kept) != 2 {
		t.Errorf("the file has %+v, %v", kept, err)
	}
}

func TestValidateListsEveryConflict(t *testing.T) {
	if err := config().Validate(); err != nil {
		t.Fatal(err)
	}
	c := Config{Jobs: []string{"terasort", "sort"}, Impls: []string{"netty", Local}, Hosts: 4, Executor: "2 GB", Size: Size{RecordBytes: 10}}
	err := c.Validate()
	for _, want := range []string{`"sort"`, `"netty"`, "hosts is 2 or 3", "at least one round", "terasort: a record of 10 bytes", `not "2 GB"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not tell of %s", err, want)
		}
	}
}

func TestKeysOfImplementations(t *testing.T) {
	c := config()
	c.Root, c.Conf = "/src", map[string]string{"spark.task.maxFailures": "4"}
	stock, tcp, rdma, local := c.sparkConf("stock"), c.sparkConf("weft-tcp"), c.sparkConf("weft-rdma"), c.sparkConf(Local)
	if stock["spark.executor.cores"] != "1" || local["spark.executor.cores"] != "2" || local["spark.cores.max"] != "2" || local["spark.executor.memory"] != "4G" ||
		local["spark.shuffle.manager"] != "" {
		t.Errorf("on one host it runs with %v, on two with %v", local, stock)
	}
	if stock["spark.shuffle.manager"] != "" || stock["spark.task.maxFailures"] != "4" {
		t.Errorf("stock runs with %v", stock)
	}
	if tcp["spark.shuffle.manager"] != shuffleManager || tcp["spark.weft.rdma.device"] != "none" || rdma["spark.weft.rdma.device"] != "auto" {
		t.Errorf("weft runs with %v and %v", tcp, rdma)
	}
}

func TestParseResult(t *testing.T) {
	if sum, s, err := parseResult("00ab 100 1.5"); sum != "00ab 100" || s != 1.5 || err != nil {
		t.Errorf("got %q, %v, %v", sum, s, err)
	}
	if _, _, err := parseResult("00ab 100"); err == nil {
		t.Error("a result without seconds is none")
	}
}
