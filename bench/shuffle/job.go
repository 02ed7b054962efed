package shuffle

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Size is what a job shuffles.
type Size struct {
	Maps        int `json:"maps"`
	Reduces     int `json:"reduces"`
	Records     int `json:"records"`      // of each map task
	RecordBytes int `json:"record_bytes"` // of a record, key and value
}

// Bytes are those of all records, before Spark serialises them.
func (s Size) Bytes() int64 { return int64(s.Maps) * int64(s.Records) * int64(s.RecordBytes) }

// over returns s with what is not 0 in o.
func (s Size) over(o Size) Size {
	for _, f := range []func(*Size) *int{
		func(s *Size) *int { return &s.Maps }, func(s *Size) *int { return &s.Reduces },
		func(s *Size) *int { return &s.Records }, func(s *Size) *int { return &s.RecordBytes },
	} {
		if v := *f(&o); v != 0 {
			*f(&s) = v
		}
	}
	return s
}

// job is one of weft.bench.ShuffleBench.
type job struct {
	name     string
	size     Size // where no flag says otherwise
	keyBytes int
}

var jobs = []job{
	{"groupby", Size{8, 8, 12500, 1000}, 4},
	{"sortby", Size{8, 8, 12500, 1000}, 4},
	{"terasort", Size{8, 8, 125000, 100}, 10},
	{"smallblocks", Size{64, 256, 256, 1000}, 4},
}

// Jobs are the names of all jobs.
func Jobs() (names []string) {
	for _, j := range jobs {
		names = append(names, j.name)
	}
	return names
}

// Local is stock Spark with the cores of all hosts in one executor, where no block is another host's: something to compare with, not a limit, as one
// JVM does other things differently from two.
const Local = "local"

// Impls are the implementations that can be compared.
func Impls() []string { return []string{"stock", "weft-tcp", "weft-rdma", Local} }

// byWeft tells whether weft is installed there.
func byWeft(impl string) bool { return impl != "stock" && impl != Local }

// executors are how many an implementation has, and the cores of each, and its memory as Spark writes it.
func (c Config) executors(impl string) (n, cores int, memory string) {
	if impl != Local {
		return c.Hosts, 1, c.Executor
	}
	size, unit, _ := splitMemory(c.Executor)
	return 1, c.Hosts, fmt.Sprintf("%d%s", size*c.Hosts, unit)
}

var memoryForm = regexp.MustCompile(`(?i)^([1-9][0-9]*)([kmgt]?b?)$`)

// splitMemory takes apart memory of an executor, of whole units. Without a unit Spark takes it for MiB.
func splitMemory(memory string) (size int, unit string, ok bool) {
	parts := memoryForm.FindStringSubmatch(memory)
	if parts == nil {
		return 0, "", false
	}
	size, err := strconv.Atoi(parts[1])
	return size, parts[2], err == nil
}

// Validate lists every conflict.
func (c Config) Validate() error {
	var wrong []string
	check := func(ok bool, format string, args ...any) {
		if !ok {
			wrong = append(wrong, fmt.Sprintf(format, args...))
		}
	}
	check(len(c.Jobs) > 0, "no job is named")
	check(len(c.Impls) > 0, "no implementation is named")
	check(c.Rounds > 0, "there must be at least one round")
	check(c.Hosts == 2 || c.Hosts == 3, "hosts is 2 or 3, not %d", c.Hosts)
	_, _, ok := splitMemory(c.Executor)
	check(ok || !slices.Contains(c.Impls, Local), "%s: the memory of an executor is a whole number and k, m, g or t, not %q", Local, c.Executor)
	for _, i := range c.Impls {
		check(slices.Contains(Impls(), i), "unknown implementation %q: there are %s", i, strings.Join(Impls(), ", "))
	}
	for _, name := range c.Jobs {
		j, err := findJob(name)
		if err != nil {
			check(false, "%v", err)
			continue
		}
		s := j.size.over(c.Size)
		check(s.Maps > 0 && s.Reduces > 0 && s.Records > 0, "%s: maps, reduces and records are numbers from 1", name)
		check(s.RecordBytes > j.keyBytes, "%s: a record of %d bytes has no room beside its key of %d", name, s.RecordBytes, j.keyBytes)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%s", strings.Join(wrong, "; "))
	}
	return nil
}

func findJob(name string) (job, error) {
	i := slices.IndexFunc(jobs, func(j job) bool { return j.name == name })
	if i < 0 {
		return job{}, fmt.Errorf("unknown job %q: there are %s", name, strings.Join(Jobs(), ", "))
	}
	return jobs[i], nil
}
