// Package soak watches the daemons of hosts on this machine for hours, from outside, and judges whether anything that they hold grows: what
// each has while no executor is connected, over the life of that daemon. It starts nothing, breaks nothing and knows nothing of jobs.
package soak

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"weft/bench/summary"
)

// Figure is something that is sampled.
type Figure struct {
	Name, Title string
	Unit        string  // "": a number of them
	By          float64 // what values are divided by to be in the unit; 0: 1
	Bound       *Bound  // in what is sampled: bytes, or a number; nil: it is drawn, and not judged
	metrics     string  // the daemon's metric that it is the sum of; "": see sample.go
}

const mebi = 1 << 20

// Figures are all of them. What an idle daemon should have nothing of has no relative bound.
var Figures = []Figure{
	{Name: "rss", Title: "Resident memory", Unit: "MiB", By: mebi, Bound: &Bound{0.25, 16 * mebi}},
	{Name: "heap", Title: "Go heap in use", Unit: "MiB", By: mebi, Bound: &Bound{0.25, 8 * mebi}, metrics: "go_memstats_heap_inuse_bytes"},
	{Name: "goroutines", Title: "Goroutines", Bound: &Bound{0.1, 4.5}, metrics: "go_goroutines"},
	{Name: "fds", Title: "Open descriptors", Bound: &Bound{0.1, 4.5}},
	{Name: "leases", Title: "Leases", Bound: &Bound{0, 0.5}, metrics: "weft_leases"},
	{Name: "arenas", Title: "Memory of all arenas", Unit: "MiB", By: mebi, Bound: &Bound{0, mebi / 2}},
	{Name: "registered", Title: "Memory registered with the RDMA device", Unit: "MiB", By: mebi, Bound: &Bound{0, mebi / 2}, metrics: "weft_registered_bytes"},
	{Name: "map_outputs", Title: "Map outputs", Bound: &Bound{0, 0.5}, metrics: "weft_map_outputs"},
	{Name: "open_files", Title: "Map outputs' files held open", Bound: &Bound{0, 0.5}, metrics: "weft_open_files"},
	{Name: "departed", Title: "Executors that have ended and are served on", Bound: &Bound{0, 0.5}, metrics: "weft_departed_executors"},
	{Name: "peers", Title: "Peers connected to", Bound: &Bound{0, 1.5}, metrics: "weft_peers"},
	{Name: "kept_links", Title: "Links to map outputs", Bound: &Bound{0, 0.5}},
	{Name: "socket_files", Title: "Files in the socket directory", Bound: &Bound{0, 1.5}},
	{Name: "log", Title: "Log of the daemon", Unit: "MiB", By: mebi, Bound: &Bound{0, 16 * mebi}},
	{Name: "sessions", Title: "Sessions", metrics: "weft_sessions"},
	{Name: "executors_rss", Title: "Resident memory of all executors", Unit: "MiB", By: mebi},
	{Name: "executors_fds", Title: "Open descriptors of all executors"},
}

// Run is what was seen, and what is thought of it.
type Run struct {
	Seconds  float64   `json:"seconds"` // how long it was watched
	Lives    []*Life   `json:"lives"`   // in the order of their first sample
	Verdicts []Verdict `json:"verdicts"`
	Failures []string  `json:"failures"` // none: the run is good
}

// Life is one daemon, from the first sample of it to the last.
type Life struct {
	Host    string   `json:"host"`
	Daemon  string   `json:"daemon_id"`
	Samples []Sample `json:"samples"`
}

// Sample is what a daemon had at a time, in seconds since the beginning, by the names of Figures.
type Sample struct {
	At     float64            `json:"at"`
	Values map[string]float64 `json:"values"`
}

// Verdict is on one figure of one life.
type Verdict struct {
	Host   string `json:"host"`
	Daemon string `json:"daemon_id"`
	Figure string `json:"figure"`
	Rests  int    `json:"rests"` // how many it is of, with the warm-up's
	Trend
}

// Judge fills in Verdicts, and adds to Failures. Judged are the daemons that lived for more than half of the run; if there is none, or one has rested
// too seldom, the run fails as too short.
func (r *Run) Judge() {
	judged := 0
	for _, l := range r.Lives {
		if l.seconds() <= r.Seconds/2 {
			continue
		}
		judged++
		for _, f := range Figures {
			if f.Bound == nil {
				continue
			}
			points := l.resting(f.Name)
			t, err := trendOf(points, *f.Bound)
			if err != nil {
				r.Failures = append(r.Failures, fmt.Sprintf("%s: %s: %v", l.Host, f.Name, err))
				break // the others have as few
			}
			r.Verdicts = append(r.Verdicts, Verdict{l.Host, l.Daemon, f.Name, len(points), t})
			if t.Fails {
				r.Failures = append(r.Failures, fmt.Sprintf("%s: %s grows by %s an hour at rest: by %s, from %s", l.Host, f.Name,
					f.show(t.PerHour), f.show(t.Grew), f.show(t.First)))
			}
		}
	}
	if judged == 0 {
		r.Failures = append(r.Failures, "no daemon lived for more than half of the run: let it be longer, or have one that is not killed")
	}
}

// String is a line.
func (v Verdict) String() string {
	f := figure(v.Figure)
	return fmt.Sprintf("%s %s: %s an hour, by %s from %s, over %d times of rest", v.Host, v.Figure, f.show(v.PerHour), f.show(v.Grew), f.show(v.First), v.Rests)
}

func figure(name string) Figure {
	return Figures[slices.IndexFunc(Figures, func(f Figure) bool { return f.Name == name })]
}

// show is a value with its unit.
func (f Figure) show(v float64) string {
	if f.Unit == "" {
		return fmt.Sprintf("%.4g", v)
	}
	return fmt.Sprintf("%.4g %s", v/f.By, f.Unit)
}

func (l *Life) seconds() float64 {
	return l.Samples[len(l.Samples)-1].At - l.Samples[0].At
}

// resting is a point for each time in which no executor or driver was connected: the median of its samples, however long it was. The first sample is
// left out, as the daemon may still put away then what the last of them left, and so is a time with no other.
func (l *Life) resting(figure string) (points []Point) {
	var at, values []float64
	ends := func() {
		if len(at) > 1 {
			points = append(points, Point{summary.Median(at[1:]), summary.Median(values[1:])})
		}
		at, values = nil, nil
	}
	for _, s := range l.Samples {
		if s.Values["sessions"] != 0 {
			ends()
			continue
		}
		at, values = append(at, s.At), append(values, s.Values[figure])
	}
	ends()
	return points
}

// Save writes soak.json and soak.html into dir, which is made.
func (r *Run) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "soak.json"), append(b, '\n'), 0o644); err != nil {
		return err
	}
	return r.savePage(filepath.Join(dir, "soak.html"))
}
