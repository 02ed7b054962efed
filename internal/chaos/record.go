package chaos

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// Record is what became of a run. Its methods may be called from many goroutines.
type Record struct {
	mu sync.Mutex
	r  Run
}

// Run is a record as it is kept in a file.
type Run struct {
	Name     string                     `json:"name"`
	Seed     uint64                     `json:"seed"`
	Took     time.Duration              `json:"took_ns"`
	Recovery map[string][]time.Duration `json:"recovery_ns"` // by kind, one for each fault that was shown to have happened
	Outcomes map[string]int             `json:"outcomes"`    // of what was asked for meanwhile, by the word for how it ended
	Failures []string                   `json:"failures"`    // none: the run is good
}

// NewRecord is empty.
func NewRecord(name string, seed uint64) *Record {
	return &Record{r: Run{Name: name, Seed: seed, Recovery: map[string][]time.Duration{}, Outcomes: map[string]int{}}}
}

// Recovered notes a fault that happened, and the time from it until all was well again.
func (r *Record) Recovered(kind string, took time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.r.Recovery[kind] = append(r.r.Recovery[kind], took)
}

// Outcome counts how n things that were asked for ended.
func (r *Record) Outcome(word string, n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.r.Outcomes[word] += n
}

// Fail notes what must not be.
func (r *Record) Fail(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.r.Failures = append(r.r.Failures, fmt.Sprintf(format, args...))
}

// End gives what was recorded.
func (r *Record) End(took time.Duration) Run {
	r.mu.Lock()
	defer r.mu.Unlock()
	run := r.r
	run.Took = took
	run.Recovery, run.Outcomes, run.Failures = maps.Clone(run.Recovery), maps.Clone(run.Outcomes), slices.Clone(run.Failures)
	return run
}

// Faults is how many happened.
func (r Run) Faults() (n int) {
	for _, all := range r.Recovery {
		n += len(all)
	}
	return n
}

// Recoveries are the times of all faults.
func (r Run) Recoveries() []time.Duration {
	return slices.Concat(slices.Collect(maps.Values(r.Recovery))...)
}

// Save writes the run into a file; its directory is made.
func (r Run) Save(path string) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o755)
	}
	if err == nil {
		err = os.WriteFile(path, append(b, '\n'), 0o644)
	}
	return err
}

// Load reads what Save wrote.
func Load(path string) (r Run, err error) {
	b, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(b, &r)
	}
	if err != nil {
		return r, fmt.Errorf("record of a run: %w", err)
	}
	return r, nil
}

// Percentile is the smallest of the times that p of 100 are not above; 0 of none.
func Percentile(times []time.Duration, p int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(times))
	return sorted[max((len(sorted)*p+99)/100-1, 0)]
}

// Table writes a line for each kind of fault, and one for all; then how what was asked for ended.
func Table(w io.Writer, runs ...Run) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "run\tfault\tcount\tmedian\tp99\tmax")
	for _, run := range runs {
		line := func(kind string, times []time.Duration) {
			ms := func(p int) string { return Percentile(times, p).Round(time.Millisecond).String() }
			fmt.Fprintf(t, "%s\t%s\t%d\t%s\t%s\t%s\n", run.Name, kind, len(times), ms(50), ms(99), ms(100))
		}
		for _, kind := range slices.Sorted(maps.Keys(run.Recovery)) {
			line(kind, run.Recovery[kind])
		}
		line(fmt.Sprintf("all of %d kinds", len(run.Recovery)), run.Recoveries())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, run := range runs {
		fmt.Fprintf(w, "%s: seed %d, %d faults in %v; ended:", run.Name, run.Seed, run.Faults(), run.Took.Round(time.Second))
		for _, word := range slices.Sorted(maps.Keys(run.Outcomes)) {
			fmt.Fprintf(w, " %s %d", word, run.Outcomes[word])
		}
		fmt.Fprintln(w)
		for _, failure := range run.Failures {
			fmt.Fprintf(w, "%s: FAILED: %s\n", run.Name, failure)
		}
	}
	return nil
}
