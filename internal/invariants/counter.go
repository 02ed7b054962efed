package invariants

import (
	"fmt"
	"runtime/debug"
	"sort"
	"sync"
	"sync/atomic"
)

// Counter counts things that somebody has to give back: leases, regions, mappings. Without the tag it does nothing.
type Counter struct {
	name string
	n    atomic.Int64

	mu     sync.Mutex
	stacks map[uint64]string // of those that are tracked
	last   uint64
}

var counters struct {
	sync.Mutex
	all []*Counter
}

// NewCounter declares a counter; name is what a report of leaks calls the things. Call it from a package variable.
func NewCounter(name string) *Counter {
	c := &Counter{name: name}
	if Enabled {
		counters.Lock()
		counters.all = append(counters.all, c)
		counters.Unlock()
	}
	return c
}

// Add counts n things made (or, negative, given back).
func (c *Counter) Add(n int) {
	if Enabled {
		now := c.n.Add(int64(n))
		Check(now >= 0, "%s: given back more often than made", c.name)
	}
}

// Track counts one thing and remembers where it was made. The function that it returns, called once, counts it as given back.
func (c *Counter) Track() (givenBack func()) {
	if !Enabled {
		return func() {}
	}
	stack := string(debug.Stack())
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stacks == nil {
		c.stacks = map[uint64]string{}
	}
	c.last++
	id := c.last
	c.stacks[id] = stack
	c.Add(1)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.stacks, id)
		c.Add(-1)
	}
}

// oldest is where the oldest tracked thing was made, or nothing.
func (c *Counter) oldest() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var first uint64
	for id := range c.stacks {
		if first == 0 || id < first {
			first = id
		}
	}
	if first == 0 {
		return ""
	}
	return ", the oldest made at\n" + c.stacks[first]
}

// Open lists what was not given back, as "name: number" and where it was made if that is known, sorted; nil without the tag.
func Open() []string {
	counters.Lock()
	defer counters.Unlock()
	var open []string
	for _, c := range counters.all {
		if n := c.n.Load(); n != 0 {
			open = append(open, fmt.Sprintf("%s: %d%s", c.name, n, c.oldest()))
		}
	}
	sort.Strings(open)
	return open
}
