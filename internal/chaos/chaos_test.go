package chaos

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"regexp"
	"testing"
	"time"
)

func TestScript(t *testing.T) {
	const text = "0 link cut; 3 link torn 4096; 11 read fail no_space"
	faults, err := Parse("\n 0  link cut ;\n3 link torn 4096;; 11 read fail no_space;")
	if err != nil || Format(faults) != text {
		t.Errorf("%q, %v", Format(faults), err)
	}
	if kind := faults[2].Kind(); kind != "read fail" {
		t.Errorf("kind %q", kind)
	}
	for _, bad := range []string{"link cut", "x link cut", "-1 link cut", "1 link cut 2 3", "1 link"} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func TestSchedule(t *testing.T) {
	kinds := []Kind{
		{Target: "link", Action: "cut"},
		{Target: "link", Action: "torn", Weight: 3, Arg: func(r *rand.Rand) string { return fmt.Sprint(r.IntN(1000)) }},
		{Target: "file", Action: "remove", Weight: 2},
	}
	script := Format(NewSchedule(7, 2, kinds).Take(60))
	if again := Format(NewSchedule(7, 2, kinds).Take(60)); again != script {
		t.Error("another script for the same seed")
	}
	for _, other := range []*Schedule{NewSchedule(8, 2, kinds), NewSchedule(7, 3, kinds)} {
		if Format(other.Take(60)) == script {
			t.Error("the same script for another seed or way")
		}
	}
	faults, err := Parse(script)
	if err != nil || Format(faults) != script {
		t.Errorf("read again: %v, %v", faults, err)
	}
	for round := range 10 {
		count := map[string]int{}
		for _, f := range faults[round*6:][:6] {
			count[f.Kind()]++
		}
		if want := map[string]int{"link cut": 1, "link torn": 3, "file remove": 2}; !reflect.DeepEqual(count, want) {
			t.Errorf("round %d has %v", round, count)
		}
	}
}

func TestPercentile(t *testing.T) {
	var times []time.Duration
	if got := Percentile(times, 99); got != 0 {
		t.Errorf("of none: %v", got)
	}
	for i := 200; i > 0; i-- {
		times = append(times, time.Duration(i))
	}
	for p, want := range map[int]time.Duration{0: 1, 50: 100, 99: 198, 100: 200} {
		if got := Percentile(times, p); got != want {
			t.Errorf("p%d of 1 to 200 is %d, want %d", p, got, want)
		}
	}
}

func TestRecord(t *testing.T) {
	r := NewRecord("process", 7)
	for i := range 100 {
		r.Recovered("link cut", time.Duration(i+1)*time.Millisecond)
	}
	r.Recovered("file remove", time.Second)
	r.Outcome("ok", 5)
	r.Outcome("ok", 2)
	r.Fail("%d wrong", 1)
	run := r.End(time.Minute)
	path := filepath.Join(t.TempDir(), "made", "run.json")
	if err := run.Save(path); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(path)
	if err != nil || !reflect.DeepEqual(loaded, run) {
		t.Errorf("loaded %+v, %v", loaded, err)
	}
	var out bytes.Buffer
	if err := Table(&out, loaded); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		`process +file remove +1 +1s +1s +1s`,
		`process +link cut +100 +50ms +99ms +100ms`,
		`process +all of 2 kinds +101 +51ms +100ms +1s`,
		`process: seed 7, 101 faults in 1m0s; ended: ok 7`,
		`process: FAILED: 1 wrong`,
	} {
		if !regexp.MustCompile("(?m)^" + line + "$").Match(out.Bytes()) {
			t.Errorf("no line %q in\n%s", line, out.String())
		}
	}
}
