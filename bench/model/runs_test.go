package model

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"weft/bench/result"
)

// A cluster on one machine of two cores, which the model knows all about.
func rig() Costs {
	c := Default()
	c.Cores, c.sharedCores, c.Link = 1, 2, math.Inf(1)
	c.Transports = map[string]Transport{"stock": {0.003, 1.5}, "weft-tcp": {0.002, 2.5}}
	c.Models = map[string]Model{"lenet": Default().Models["lenet"], "vgg": {14991946, 0.125}}
	c.Driver.Job = 0.06
	return c
}

// runOn is what a run would give where the model is right.
func runOn(c Costs, model, impl string, executors, batch int) result.Row {
	it := iterate(c, setting{c.Models[model], c.Transports[impl], impl == "stock", executors, float64(batch) / float64(executors)})
	return result.Row{
		Model: model, Data: "none", Spark: "3.1.3", Impl: impl, Link: "as is", Executors: executors, Batch: batch,
		IterationSeconds: it.Seconds, GetWeightsSeconds: it.getWeights, AggregateGradientSeconds: it.aggregate,
	}
}

func rigRuns() []result.Row {
	var runs []result.Row
	for _, executors := range []int{4, 2} {
		for _, impl := range []string{"stock", "weft-tcp"} {
			runs = append(runs, runOn(rig(), "vgg", impl, executors, 8), runOn(rig(), "lenet", impl, executors, 64))
		}
	}
	return runs
}

// From runs with 2 executors come the costs that those with 4 had, too.
func TestFitFindsTheCosts(t *testing.T) {
	checks := CheckRuns(Default(), rigRuns(), 2)
	held := 0
	for _, c := range checks {
		if c.HeldOut != (c.Run.Executors == 4) {
			t.Errorf("%+v", c)
		}
		if c.HeldOut {
			held++
		}
		if math.Abs(c.Error()) > 3 {
			t.Errorf("%s %s on %d, %s: %.4f s, %.4f s by the model (%+.1f %%)", c.Run.Impl, c.Run.Model, c.Run.Executors, c.Figure, c.Measured, c.Model, c.Error())
		}
	}
	if len(checks) != 24 || held != 12 {
		t.Errorf("%d checks, %d held out", len(checks), held)
	}
}

// A run that is nothing like the model is reported as such: what it is held out from does not bend to it.
func TestHeldOutRunsAreNotFitted(t *testing.T) {
	runs := rigRuns()
	for i := range runs {
		if runs[i].Executors == 4 {
			runs[i].IterationSeconds *= 2
		}
	}
	checks := CheckRuns(Default(), runs, 2)
	for _, c := range checks {
		if c.Figure == "iteration" && c.HeldOut && math.Abs(c.Error()+50) > 3 {
			t.Errorf("%+v: %+.1f %%, want -50 %%", c.Run, c.Error())
		}
	}
	var b strings.Builder
	if err := WriteChecks(&b, checks[:2]); err != nil || !strings.Contains(b.String(), "held out") || !strings.Contains(b.String(), "-5") {
		t.Errorf("%v:\n%s", err, b.String())
	}
}

// Repeats count as their median, and a single model's runs take the jobs' cost from elsewhere.
func TestOneModelAndRepeats(t *testing.T) {
	c := rig()
	c.Driver.Job = Default().Driver.Job
	fast, right, slow := runOn(c, "vgg", "stock", 2, 8), runOn(c, "vgg", "stock", 2, 8), runOn(c, "vgg", "stock", 2, 8)
	fast.IterationSeconds, slow.IterationSeconds = fast.IterationSeconds*0.8, slow.IterationSeconds*2
	checks := CheckRuns(Default(), []result.Row{fast, right, slow, runOn(c, "vgg", "stock", 2, 32)}, 2)
	if len(checks) != 6 {
		t.Fatalf("%d checks", len(checks))
	}
	for _, k := range checks {
		if k.Measured != right.IterationSeconds && k.Figure == "iteration" && k.Run.Batch == 8 {
			t.Errorf("measured %v, the median is %v", k.Measured, right.IterationSeconds)
		}
		if math.Abs(k.Error()) > 3 {
			t.Errorf("%s at batch %d: %+.1f %%", k.Figure, k.Run.Batch, k.Error())
		}
	}
}

func TestWeftAsksTheDriverOnlyWhereItDid(t *testing.T) {
	r := result.Row{Impl: "weft-tcp", Executors: 2, DriverLookups: 4}
	if looksUp(r) {
		t.Error("one look-up for each block, and it is taken to ask for all")
	}
	if r.DriverLookups = 400; !looksUp(r) {
		t.Error("400 look-ups for 4 blocks, and it is taken to ask for none")
	}
	if r = (result.Row{Impl: "stock", Executors: 2}); !looksUp(r) {
		t.Error("stock Spark always asks")
	}
}

func TestLoadRuns(t *testing.T) {
	file := filepath.Join(t.TempDir(), "train.json")
	runs := rigRuns()
	failed := runs[0]
	failed.Failure = "spark-submit: exit status 1"
	soft := runs[0]
	soft.Device = result.DeviceName("rxe0", true)
	array, err := json.Marshal(append(runs, failed, soft))
	if err != nil {
		t.Fatal(err)
	}
	var lines strings.Builder
	for _, r := range runs {
		b, _ := json.Marshal(r)
		fmt.Fprintf(&lines, "%s\n", b)
	}
	write := func(s string) {
		if err := os.WriteFile(file, []byte(s), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, content := range []string{string(array), lines.String()} {
		write(content)
		if got, err := LoadRuns(file); err != nil || len(got) != len(runs) || got[1].Model != "lenet" {
			t.Errorf("%v: %+v", err, got)
		}
	}
	for want, content := range map[string]string{
		"unexpected end": string(array[:len(array)/2]),
		"no run in it":   `[{"model":"vgg","impl":"x","executors":2,"batch":8,"iteration_s":1,"failure":"killed"}]`,
	} {
		write(content)
		if _, err := LoadRuns(file); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

func TestRunsThatTheModelCannotBeHeldAgainst(t *testing.T) {
	runs := append(rigRuns(), runOn(rig(), "vgg", "stock", 4, 8), runOn(rig(), "vgg", "stock", 2, 8))
	runs[len(runs)-2].Link = "another"
	runs[len(runs)-1].Model = "resnet"
	checks := CheckRuns(Default(), runs, 2)
	var b strings.Builder
	if err := WriteChecks(&b, checks); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"another +4 +there is no run of it with 2 executors", `there are no costs of model "resnet"`} {
		if !regexp.MustCompile(want).MatchString(b.String()) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if len(checks) != 24+2 {
		t.Errorf("%d checks", len(checks))
	}
}

// One odd run says so in its row, and neither ends the others' check nor bends their median.
func TestOddRunsAreLeftOut(t *testing.T) {
	alone, repeat := runOn(rig(), "vgg", "stock", 2, 8), runOn(rig(), "vgg", "stock", 2, 8)
	alone.Executors = 0
	repeat.GetWeightsSeconds, repeat.AggregateGradientSeconds, repeat.IterationSeconds = 70, 60, 100
	want := CheckRuns(Default(), rigRuns(), 2)
	checks := CheckRuns(Default(), append([]result.Row{alone, repeat}, rigRuns()...), 2)
	if len(checks) != 2+len(want) {
		t.Fatalf("%d checks, want %d", len(checks), 2+len(want))
	}
	for i, says := range []string{"0 executors", "100 s with 70 s and 60 s in it"} {
		if !strings.Contains(checks[i].Why, says) {
			t.Errorf("%q, want %q", checks[i].Why, says)
		}
	}
	for i, c := range checks[2:] {
		if c.Why != "" || c.Measured != want[i].Measured || c.Model != want[i].Model {
			t.Errorf("%+v, and without the odd runs %+v", c, want[i])
		}
	}
}
