package invariants

import (
	"fmt"
	"sort"
	"sync"
	"sync/atomic"
)

// Counter counts things that somebody has to give back: leases, regions, mappings. Without the tag it does nothing.
type Counter struct {
	name string
	n    atomic.Int64
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

// Open lists what was not given back, as "name: number", sorted; nil without the tag.
func Open() []string {
	counters.Lock()
	defer counters.Unlock()
	var open []string
	for _, c := range counters.all {
		if n := c.n.Load(); n != 0 {
			open = append(open, fmt.Sprintf("%s: %d", c.name, n))
		}
	}
	sort.Strings(open)
	return open
}
