package transporttest

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"weft/shuffle"
)

// Script says which operations of a transport go wrong, and how: rules separated by ";", each of them
//
//	<dial|locate|read|serve> <n|*> <action>
//
// where n counts the operations of that kind from 1, over all connections, and the action is
//
//	delay <duration>   the operation begins so much later: its memory is written to then
//	fail <reason>      the owner answers with the reason; "fail lost" breaks the connection
//	drop               it ends only when the connection is closed
//	corrupt <i>        it is done, but bit 0 of byte i of its memory is flipped (i modulo its length)
//	kill               the connection breaks before it is done
//
// What an owner serves (see FaultySource) can fail, or be delayed. The first rule that fits counts. String prints the script.
type Script struct {
	mu    sync.Mutex
	rules []rule
	count map[string]int
	met   int
}

type rule struct {
	op     string
	n      int // 0: every
	action string
	arg    string

	delay  time.Duration
	reason shuffle.Reason // 0: lost
	index  int
}

// Parse reads a script.
func Parse(text string) (*Script, error) {
	s := &Script{count: make(map[string]int)}
	for _, line := range strings.Split(text, ";") {
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		r, err := parseRule(words)
		if err != nil {
			return nil, fmt.Errorf("rule %q: %w", strings.TrimSpace(line), err)
		}
		s.rules = append(s.rules, r)
	}
	return s, nil
}

// MustParse is Parse for scripts in tests.
func MustParse(text string) *Script {
	s, err := Parse(text)
	if err != nil {
		panic(err)
	}
	return s
}

func parseRule(words []string) (r rule, err error) {
	if len(words) < 3 {
		return r, fmt.Errorf("want an operation, a number and an action")
	}
	r.op, r.action = words[0], words[2]
	if r.op != "dial" && r.op != "locate" && r.op != "read" && r.op != "serve" {
		return r, fmt.Errorf("unknown operation %q", r.op)
	}
	if words[1] != "*" {
		if r.n, err = strconv.Atoi(words[1]); err != nil || r.n < 1 {
			return r, fmt.Errorf("%q is no number of an operation", words[1])
		}
	}
	args := words[3:]
	want := 1
	if r.action == "drop" || r.action == "kill" {
		want = 0
	}
	if len(args) != want {
		return r, fmt.Errorf("%s takes %d arguments", r.action, want)
	}
	if want == 1 {
		r.arg = args[0]
	}
	switch r.action {
	case "delay":
		r.delay, err = time.ParseDuration(r.arg)
	case "fail":
		r.reason, err = parseReason(r.arg)
	case "corrupt":
		r.index, err = strconv.Atoi(r.arg)
	case "drop", "kill":
	default:
		err = fmt.Errorf("unknown action %q", r.action)
	}
	if (r.op == "dial" || r.op == "serve") && r.action != "fail" && r.action != "delay" {
		err = fmt.Errorf("a %s can only fail or be delayed", r.op)
	}
	return r, err
}

func parseReason(word string) (shuffle.Reason, error) {
	if word == "lost" {
		return shuffle.ReasonNone, nil
	}
	for _, r := range shuffle.Reasons() {
		if r.String() == word {
			return r, nil
		}
	}
	return 0, fmt.Errorf("unknown reason %q", word)
}

// String is the script as Parse reads it.
func (s *Script) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	rules := make([]string, len(s.rules))
	for i, r := range s.rules {
		n := "*"
		if r.n > 0 {
			n = strconv.Itoa(r.n)
		}
		rules[i] = strings.TrimSpace(strings.Join([]string{r.op, n, r.action, r.arg}, " "))
	}
	return strings.Join(rules, "; ")
}

// next counts an operation and returns the rule for it, if any.
func (s *Script) next(op string) *rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count[op]++
	for i := range s.rules {
		if r := &s.rules[i]; r.op == op && (r.n == 0 || r.n == s.count[op]) {
			s.met++
			return r
		}
	}
	return nil
}

// Add puts rules before the others while the script is in use. Their numbers count from now on. Rules for what is past are dropped.
func (s *Script) Add(text string) error {
	more, err := Parse(text)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range more.rules {
		if r := &more.rules[i]; r.n > 0 {
			r.n += s.count[r.op]
		}
	}
	for _, r := range s.rules {
		if r.n == 0 || r.n > s.count[r.op] {
			more.rules = append(more.rules, r)
		}
	}
	s.rules = more.rules
	return nil
}

// Met is how many operations a rule was applied to.
func (s *Script) Met() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.met
}

// Count is how many operations of a kind there were.
func (s *Script) Count(op string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count[op]
}
