//go:build e2e

package e2e

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"weft/internal/chaos"
	"weft/internal/status"
)

// recovery is from one fault: all executors of its host have a session with a daemon there, and blocks move by weft to or from that host
// again. It looks at the daemon until that is so.
type recovery struct {
	run   *chaosRun
	fault chaos.Fault
	host  string
	began time.Time

	gone   int32         // the process that was killed; 0: none
	before atomic.Value  // string: what is missing
	lift   chan struct{} // closed when the fault is over
	ended  chan struct{} // closed when it has recovered
}

// executorsPerHost is how many an application of chaosConf has on each host.
const executorsPerHost = 2

// begin begins the time.
func (c *chaosRun) begin(f chaos.Fault) *recovery {
	r := &recovery{
		run: c, fault: f, host: fmt.Sprint("h", f.Way), began: time.Now(),
		lift: make(chan struct{}), ended: make(chan struct{}),
	}
	r.before.Store("the fault is not over")
	return r
}

// lifted says that the fault is over; what moves from now on shows that it is recovered from.
func (r *recovery) lifted() { go r.watch(r.run.at(r.host)) }

// watch ends with the recovery, or when nobody waits for it any more.
func (r *recovery) watch(baseline *status.Status) {
	for end := time.Now().Add(jobLimit); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		now := r.run.at(r.host)
		var lacks string
		switch {
		case now == nil:
			lacks = "no daemon answers"
		case r.sessions(now) != executorsPerHost:
			lacks = fmt.Sprintf("%d executors have a session", r.sessions(now))
		case moved(now) <= moved(baseline) && baseline != nil && baseline.DaemonID == now.DaemonID, moved(now) == 0:
			lacks = "no block moves by weft"
		default:
			r.run.rec.Recovered(r.fault.Kind(), time.Since(r.began))
			close(r.ended)
			return
		}
		r.before.Store(lacks)
	}
}

// sessions counts those of living executors.
func (r *recovery) sessions(s *status.Status) (n int) {
	for _, session := range s.Sessions {
		if session.Executor != "driver" && session.PID != r.gone {
			n++
		}
	}
	return n
}

// wait waits for the recovery; of no fault, it is there.
func (r *recovery) wait(t *testing.T, limit time.Duration) {
	t.Helper()
	if r == nil {
		return
	}
	select {
	case <-r.ended:
	case <-time.After(limit):
	}
}

func (r *recovery) over() bool {
	if r == nil {
		return true
	}
	select {
	case <-r.ended:
		return true
	default:
		return false
	}
}

func (r *recovery) lacks() string { return r.before.Load().(string) }

// at is what the daemon of a host says, asked by its socket from outside the host; nil where it does not answer at once.
func (c *Cluster) at(host string) *status.Status {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s, err := status.Get(ctx, c.socketDir(host))
	if err != nil {
		return nil
	}
	return s
}

// moved is how many blocks went by weft between hosts, to or from this one.
func moved(s *status.Status) (n int64) {
	if s == nil {
		return 0
	}
	for _, transfer := range s.Transfers {
		if transfer.Transport != "mem" {
			n += transfer.Blocks
		}
	}
	return n
}
