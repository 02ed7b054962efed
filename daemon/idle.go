package daemon

import (
	"sync"
	"time"
)

// firstGrace is how long a daemon waits for its first session at least: whoever started it needs time to connect.
const firstGrace = 5 * time.Second

// idle tells when no session was open, and nothing was served for executors that have ended, for a grace time, counted from the start too. A
// grace of 0 never ends.
type idle struct {
	grace time.Duration
	over  chan struct{} // closed when the grace time has passed

	mu    sync.Mutex
	uses  [2]int      // open sessions, departed executors
	timer *time.Timer // nil while there are any
	turn  int         // counts the timers: one that was stopped too late finds another number
	done  bool
}

func newIdle(grace time.Duration) *idle {
	i := &idle{grace: grace, over: make(chan struct{})}
	i.mu.Lock()
	defer i.mu.Unlock()
	if grace > 0 {
		i.wait(max(grace, firstGrace))
	}
	return i
}

// sessions tells how many sessions are open now.
func (i *idle) sessions(n int) { i.used(0, n) }

// departed tells for how many executors that have ended map outputs are served now.
func (i *idle) departed(n int) { i.used(1, n) }

func (i *idle) used(kind, n int) {
	if i.grace == 0 {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.uses[kind] = n
	used := i.uses != [2]int{}
	switch {
	case i.done:
	case used && i.timer != nil:
		i.timer.Stop()
		i.timer = nil
	case !used && i.timer == nil:
		i.wait(i.grace)
	}
}

// wait begins to count. mu is held.
func (i *idle) wait(d time.Duration) {
	i.turn++
	turn := i.turn
	i.timer = time.AfterFunc(d, func() { i.expire(turn) })
}

func (i *idle) expire(turn int) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.timer != nil && i.turn == turn && !i.done {
		i.done = true
		close(i.over)
	}
}

func (i *idle) stop() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.done = true
	if i.timer != nil {
		i.timer.Stop()
	}
}
