// Package chaos is what runs of random faults have in common, whatever is broken in them: a script of faults that is drawn from a seed, can be
// printed and can be run again, and the record of how long it took to recover from each.
//
// It refuses to know what a fault does, or anything of blocks and daemons: a word is a word. It is for tests.
package chaos

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
)

// Fault is one line of a script.
//
//	<way> <target> <action> [<argument>]
//
// as in "3 link torn 4096". What targets and actions there are, and what the argument means, is for those who run the script.
type Fault struct {
	Way    int // which of the things that are broken at the same time, each by one fault after the other
	Target string
	Action string
	Arg    string // "": none
}

// Kind is the name by which faults are counted.
func (f Fault) Kind() string { return f.Target + " " + f.Action }

// String is the line as Parse reads it.
func (f Fault) String() string {
	return strings.TrimSpace(fmt.Sprintf("%d %s %s %s", f.Way, f.Target, f.Action, f.Arg))
}

// Format is a script of these faults, as Parse reads it.
func Format(faults []Fault) string {
	lines := make([]string, len(faults))
	for i, f := range faults {
		lines[i] = f.String()
	}
	return strings.Join(lines, "; ")
}

// Parse reads faults, separated by ";" or the ends of lines.
func Parse(text string) (faults []Fault, err error) {
	for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == ';' || r == '\n' }) {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if len(words) < 3 || len(words) > 4 {
			return nil, fmt.Errorf("fault %q: want a way, a target, an action and at most one argument", strings.TrimSpace(line))
		}
		f := Fault{Target: words[1], Action: words[2]}
		if f.Way, err = strconv.Atoi(words[0]); err != nil || f.Way < 0 {
			return nil, fmt.Errorf("fault %q: %q is no number of a way", strings.TrimSpace(line), words[0])
		}
		if len(words) == 4 {
			f.Arg = words[3]
		}
		faults = append(faults, f)
	}
	return faults, nil
}

// Kind is a kind of fault that may be drawn.
type Kind struct {
	Target, Action string
	Weight         int                       // how often it is drawn for each time that one of weight 1 is; at least 1
	Arg            func(r *rand.Rand) string // nil: none
}

// Name is as Fault.Kind.
func (k Kind) Name() string { return k.Target + " " + k.Action }

// Schedule is the endless sequence of faults of one way: the same for the same seed, way and kinds. Each kind comes as often as its weight
// in each round, in an order of that round.
type Schedule struct {
	way   int
	kinds []Kind // each as often as its weight
	rng   *rand.Rand
	next  int
}

// NewSchedule begins the sequence.
func NewSchedule(seed uint64, way int, kinds []Kind) *Schedule {
	s := &Schedule{way: way, rng: rand.New(rand.NewPCG(seed, uint64(way)))} //nolint:gosec // to be the same again
	for _, k := range kinds {
		for range max(k.Weight, 1) {
			s.kinds = append(s.kinds, k)
		}
	}
	return s
}

// Next is the next fault.
func (s *Schedule) Next() Fault {
	if s.next == 0 {
		s.rng.Shuffle(len(s.kinds), func(i, j int) { s.kinds[i], s.kinds[j] = s.kinds[j], s.kinds[i] })
	}
	k := s.kinds[s.next]
	s.next = (s.next + 1) % len(s.kinds)
	f := Fault{Way: s.way, Target: k.Target, Action: k.Action}
	if k.Arg != nil {
		f.Arg = k.Arg(s.rng)
	}
	return f
}

// Take is the next n faults.
func (s *Schedule) Take(n int) []Fault {
	faults := make([]Fault, n)
	for i := range faults {
		faults[i] = s.Next()
	}
	return faults
}
