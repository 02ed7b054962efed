// Command soak runs e2e's TestChaos for hours as a soak, watches the daemons of its hosts meanwhile, and fails where what they hold at rest grows.
// soak.json, soak.html and the log are in build/soak; the last line is "soak: ok" or "soak: FAILED". `make soak` builds what it needs.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"weft/bench/soak"
)

const (
	dir     = "build/soak"
	cluster = "soak"          // of the test, in build/e2e
	every   = 3 * time.Second // between samples
	limit   = 3 * time.Hour   // beyond the time that it is given
)

func main() {
	hours := flag.Float64("hours", 1, "how long jobs and faults go on at least")
	seed := flag.Uint64("seed", uint64(time.Now().Unix()), "of jobs and faults")
	flag.Parse()
	failures := run(time.Duration(*hours*float64(time.Hour)), *seed)
	if failures != nil {
		fmt.Println("soak: FAILED:", strings.ReplaceAll(failures.Error(), "\n", "; "))
		os.Exit(1)
	}
	fmt.Println("soak: ok")
}

// run watches while the test runs, and judges also when that fails.
func run(lasts time.Duration, seed uint64) error {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return err
	}
	out, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancel(context.Background())
	watched := make(chan *soak.Run)
	go func() { watched <- soak.Watch(ctx, filepath.Join("build/e2e", cluster), every) }()
	err = test(lasts, seed, out)
	end()
	r := <-watched
	r.Judge()
	show(r)
	for _, failure := range r.Failures {
		err = errors.Join(err, errors.New(failure))
	}
	if saved := r.Save(dir); saved != nil {
		return errors.Join(err, saved)
	}
	fmt.Printf("soak: %d daemons in %.2f hours; page in %s/soak.html\n", len(r.Lives), r.Seconds/3600, dir)
	return err
}

// test runs the jobs. Their log is long, and stays in a file.
func test(lasts time.Duration, seed uint64, out string) error {
	path := filepath.Join(dir, "soak.log")
	log, err := os.Create(path)
	if err != nil {
		return err
	}
	defer log.Close()
	fmt.Printf("soak: seed %d, for %v; log in %s\n", seed, lasts, path)
	cmd := exec.Command("go", "test", "-count=1", "-v", "-timeout", (lasts + limit).String(), "-tags", "e2e", "./e2e", "-run", "^TestChaos$",
		"-chaos.seed", strconv.FormatUint(seed, 10), "-chaos.for", lasts.String(), "-chaos.soak", filepath.Join(out, "fetch"),
		"-chaos.record", filepath.Join(out, "faults.json"))
	cmd.Env = append(os.Environ(), "E2E_NAME="+cluster)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("./e2e: %w; see %s", err, path)
	}
	return nil
}

// show prints what each figure of each daemon that was judged did at rest.
func show(r *soak.Run) {
	for _, v := range r.Verdicts {
		fmt.Println("soak:", v)
	}
}
