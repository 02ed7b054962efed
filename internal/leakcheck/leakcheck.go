// Package leakcheck fails a package's tests when something stays behind: goroutines, open descriptors, and whatever is
// counted by invariants.Counter (leases, regions, mappings). It is for tests; no other code imports it.
package leakcheck

import (
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"go.uber.org/goleak"

	"weft/internal/invariants"
)

// patience is how long things that are on their way out may take; shorter in the test of this package.
var patience = 5 * time.Second

// Main runs the tests of a package and then looks for leaks. Call it from TestMain:
//
//	func TestMain(m *testing.M) { leakcheck.Main(m) }
func Main(m interface{ Run() int }, opts ...goleak.Option) {
	before := Descriptors()
	code := m.Run()
	if code == 0 {
		if err := find(before, opts); err != nil {
			fmt.Fprintln(os.Stderr, "leakcheck:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func find(before []string, opts []goleak.Option) error {
	if err := goleak.Find(opts...); err != nil {
		return err
	}
	var open []string
	settled := wait(func() bool {
		open = append(invariants.Open(), added(before, Descriptors())...)
		return len(open) == 0
	})
	if !settled {
		return fmt.Errorf("not given back: %s", strings.Join(open, "; "))
	}
	return nil
}

// wait polls until done or patience is over, often at first: most of what is asked about takes microseconds.
func wait(done func() bool) bool {
	over := time.Now().Add(patience)
	for pause := 50 * time.Microsecond; !done(); pause = min(2*pause, 5*time.Millisecond) {
		if time.Now().After(over) {
			return false
		}
		time.Sleep(pause)
	}
	return true
}

// T is the part of testing.TB that Check needs.
type T interface {
	Helper()
	Cleanup(func())
	Errorf(format string, args ...any)
	Failed() bool
}

// Check fails t when, after its other clean-ups, descriptors or counted things are open that were not open before. Call it
// first in a test that does not run in parallel with others.
func Check(t T) {
	t.Helper()
	Take().Check(t)
}

// State is what was open at one time, of descriptors and of what is counted.
type State struct {
	descriptors []string
	counted     string
}

// Take returns what is open now.
func Take() State { return State{Descriptors(), strings.Join(invariants.Open(), "; ")} }

// Check fails t when, after its other clean-ups, what is open is not what s has: for tests that share what was opened before s was taken.
func (s State) Check(t T) {
	t.Helper()
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		var left []string
		var now State
		if !wait(func() bool {
			now = Take()
			left = added(s.descriptors, now.descriptors)
			return len(left) == 0 && now.counted == s.counted
		}) {
			t.Errorf("left open: %q; counted before %q, now %q", left, s.counted, now.counted)
		}
	})
}

// Descriptors lists what this process has open, by the targets of /proc/self/fd, sorted. The runtime's own (epoll, eventfd)
// are left out.
func Descriptors() []string {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var open []string
	for _, e := range entries {
		target, err := os.Readlink(filepath.Join(dir, e.Name()))
		if err != nil || strings.HasPrefix(target, "anon_inode:[event") || strings.HasPrefix(target, "/proc/") {
			continue
		}
		open = append(open, target)
	}
	sort.Strings(open)
	return open
}

// added lists what is in now and not in before, both sorted.
func added(before, now []string) []string {
	var more []string
	for _, d := range now {
		for len(before) > 0 && before[0] < d {
			before = before[1:]
		}
		if len(before) > 0 && before[0] == d {
			before = before[1:]
			continue
		}
		more = append(more, d)
	}
	return more
}
