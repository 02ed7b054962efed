// Command chaos runs random faults for a given time: thousands in one process, then tens of whole processes, links and files under real Spark
// jobs. It prints one table of both, keeps it in build/chaos, and ends with "chaos: ok" or "chaos: FAILED". The tests that it runs are daemon's
// and e2e's TestChaos; `make chaos` builds what they need.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"weft/internal/chaos"
)

const dir = "build/chaos"

// half is one of the two tests.
type half struct {
	name   string
	tags   []string // flags of go test
	pkg    string
	faults int
	limit  time.Duration // beyond the time it is given
}

func main() {
	minutes := flag.Float64("minutes", 0, "how long each half goes on at least; 0: until its faults have happened")
	seed := flag.Uint64("seed", 0, "of jobs and faults; 0: another one each time")
	faults := flag.Int("faults", 1000, "faults in one process, at least")
	hostFaults := flag.Int("host-faults", 40, "faults of processes, links and files under Spark jobs, at least")
	flag.Parse()
	if *seed == 0 {
		*seed = uint64(time.Now().Unix())
	}
	if err := run(*seed, time.Duration(*minutes*float64(time.Minute)), []half{
		{"process", []string{"-race", "-tags", "invariants"}, "./daemon", *faults, 30 * time.Minute},
		{"hosts", []string{"-tags", "e2e"}, "./e2e", *hostFaults, 3 * time.Hour},
	}); err != nil {
		os.Exit(1)
	}
}

// run runs the halves one after the other, and both though one fails.
func run(seed uint64, lasts time.Duration, halves []half) error {
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		fmt.Println("chaos: FAILED:", err)
		return err
	}
	var errs []error
	var runs []chaos.Run
	for _, h := range halves {
		record := filepath.Join(dir, h.name+".json")
		if err := h.test(seed, lasts, record); err != nil {
			errs = append(errs, err)
		}
		r, err := chaos.Load(record)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		runs = append(runs, r)
	}
	return show(runs, errors.Join(errs...))
}

// test runs one. Its log is long, and stays in a file.
func (h half) test(seed uint64, lasts time.Duration, record string) error {
	path := filepath.Join(dir, h.name+".log")
	log, err := os.Create(path)
	if err != nil {
		return err
	}
	defer log.Close()
	here, err := os.Getwd()
	if err != nil {
		return err
	}
	args := append([]string{"test", "-count=1", "-v", "-timeout", (lasts + h.limit).String()}, h.tags...)
	args = append(args, h.pkg, "-run", "^TestChaos$", "-chaos.seed", strconv.FormatUint(seed, 10), "-chaos.faults", strconv.Itoa(h.faults),
		"-chaos.for", lasts.String(), "-chaos.record", filepath.Join(here, record))
	cmd := exec.Command("go", args...)
	cmd.Stdout, cmd.Stderr = log, log
	fmt.Printf("chaos: seed %d, %d faults of %s at least; log in %s\n", seed, h.faults, h.pkg, path)
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w; see %s", h.pkg, err, path)
	}
	return nil
}

// show prints the table and what came of it, and keeps both.
func show(runs []chaos.Run, failure error) error {
	file, err := os.Create(filepath.Join(dir, "table.txt"))
	if err != nil {
		return errors.Join(failure, err)
	}
	defer file.Close()
	both := io.MultiWriter(os.Stdout, file)
	failure = errors.Join(failure, chaos.Table(both, runs...))
	if failure != nil {
		_, err = fmt.Fprintln(both, "chaos: FAILED:", strings.ReplaceAll(failure.Error(), "\n", "; "))
	} else {
		_, err = fmt.Fprintln(both, "chaos: ok")
	}
	return errors.Join(failure, err)
}
