package rdma

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"weft/verbs"
)

// pollBatch is how many completions are taken by one call.
const pollBatch = 64

// completer hands the completions of a device's READs to their queues, on a goroutine of its own.
type completer struct {
	channel *verbs.CompChannel
	cq      *verbs.CQ
	log     *slog.Logger
	ended   chan struct{}

	polls, waits atomic.Uint64 // calls into C, and sleeps

	mu     sync.RWMutex
	queues map[uint32]*queue // by number of the queue pair
	room   int               // completions that the CQ can hold beside those of queues
	users  int               // connections and listeners
	err    error             // why it ended
}

// newCompleter makes a CQ for that many READs in flight on the device, of all connections together.
func newCompleter(device *verbs.Context, reads int, log *slog.Logger) (*completer, error) {
	c := &completer{log: log, ended: make(chan struct{}), queues: map[uint32]*queue{}, room: reads}
	var err error
	if c.channel, err = device.CompChannel(); err != nil {
		return nil, err
	}
	if c.cq, err = device.CreateCQ(reads, c.channel, 0); err != nil {
		return nil, errors.Join(err, c.channel.Close())
	}
	go c.run()
	return c, nil
}

// reserve sets room aside for a queue of that depth: a CQ that overruns ends every queue pair on it.
func (c *completer) reserve(depth int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if c.room < depth {
		return fmt.Errorf("rdma: the completion queue has no room for another connection of %d READs; %d connections have it all", depth, len(c.queues))
	}
	c.room -= depth
	c.users++
	return nil
}

func (c *completer) giveBack(depth int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.room += depth
	c.users--
}

// add begins to give completions of the queue pair to q. It fails where nobody reads completions any more.
func (c *completer) add(qpn uint32, q *queue) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.queues[qpn] = q
	}
	return c.err
}

// remove ends that. Another queue pair may have the number already.
func (c *completer) remove(qpn uint32, q *queue) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.queues[qpn] == q {
		delete(c.queues, qpn)
	}
}

func (c *completer) run() {
	defer close(c.ended)
	var wcs [pollBatch]verbs.WC
	for {
		n, err := c.poll(wcs[:])
		if err == nil && n == 0 {
			n, err = c.wait(wcs[:])
		}
		if errors.Is(err, verbs.ErrClosed) {
			return
		}
		if err != nil {
			c.broken(err)
			return
		}
		c.hand(wcs[:n])
	}
}

// wait arms the queue and polls once more, for what came meanwhile; with nothing there it waits for an event.
func (c *completer) wait(wcs []verbs.WC) (int, error) {
	if err := c.cq.Arm(); err != nil {
		return 0, err
	}
	n, err := c.poll(wcs)
	if n > 0 || err != nil {
		return n, err
	}
	c.waits.Add(1)
	_, err = c.channel.Wait(time.Time{})
	return 0, err
}

func (c *completer) poll(wcs []verbs.WC) (int, error) {
	c.polls.Add(1)
	return c.cq.Poll(wcs)
}

// hand gives each run of completions of one queue pair to its queue.
func (c *completer) hand(wcs []verbs.WC) {
	for len(wcs) > 0 {
		n := 1
		for n < len(wcs) && wcs[n].QPN() == wcs[0].QPN() {
			n++
		}
		c.mu.RLock()
		q := c.queues[wcs[0].QPN()]
		c.mu.RUnlock()
		if q != nil { // else it was destroyed, and its READs ended with it
			q.complete(wcs[:n])
		}
		wcs = wcs[n:]
	}
}

// broken ends every queue: nothing completes any more.
func (c *completer) broken(err error) {
	c.mu.Lock()
	c.err = err
	queues := make([]*queue, 0, len(c.queues))
	for _, q := range c.queues {
		queues = append(queues, q)
	}
	c.mu.Unlock()
	c.log.Error("the RDMA device's completions cannot be read any more; its connections end", "err", err, "connections", len(queues))
	for _, q := range queues {
		q.fail(err)
	}
}

// close ends the goroutine. ErrInUse, and nothing changed, while there are connections or listeners.
func (c *completer) close() error {
	c.mu.Lock()
	if c.users > 0 {
		c.mu.Unlock()
		return fmt.Errorf("rdma: closing a device with %d connections and listeners: %w", c.users, verbs.ErrInUse)
	}
	if c.err == nil {
		c.err = errClosed
	}
	c.mu.Unlock()
	err := c.channel.Interrupt()
	<-c.ended
	return errors.Join(err, c.cq.Close(), c.channel.Close())
}
