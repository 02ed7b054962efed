package transporttest

import (
	"context"
	"errors"
	"sync"
	"time"

	"weft/shuffle"
)

// errFault is what breaks a connection.
var errFault = errors.New("fault: the connection broke")

// Faulty is transport t, except for what the script breaks.
func Faulty(t shuffle.Transport, s *Script) shuffle.Transport { return &faulty{t, s} }

type faulty struct {
	shuffle.Transport
	script *Script
}

func (f *faulty) Dial(ctx context.Context, peer shuffle.PeerAddr) (shuffle.Conn, error) {
	if err := f.script.next("dial").before(ctx); err != nil {
		return nil, err
	}
	c, err := f.Transport.Dial(ctx, peer)
	if err != nil {
		return nil, err
	}
	fc := &faultyConn{Conn: c, script: f.script, closed: make(chan struct{})}
	fc.none.L = &fc.mu
	return fc, nil
}

// before does what a rule, or none, says with a call that it can delay or fail.
func (r *rule) before(ctx context.Context) error {
	switch {
	case r == nil:
		return nil
	case r.action == "delay":
		select {
		case <-time.After(r.delay):
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	case r.reason != shuffle.ReasonNone:
		return shuffle.Errorf(r.reason, "fault")
	default:
		return errFault
	}
}

type faultyConn struct {
	shuffle.Conn
	script *Script

	mu     sync.Mutex
	none   sync.Cond // ops became 0
	ops    int       // begun, and done was not called
	ended  bool
	closed chan struct{} // by Close
	killed sync.Once
}

func (c *faultyConn) Locate(req *shuffle.LocateRequest, eager []byte, done func([]shuffle.Located, error)) {
	c.apply(c.script.next("locate"), eager,
		func(done func(error)) {
			c.Conn.Locate(req, eager, func(l []shuffle.Located, err error) { finishLocate(l, err, done) })
		},
		func(l []shuffle.Located, err error) { done(l, err) })
}

func (c *faultyConn) Read(reqs []shuffle.ReadRequest) {
	for _, r := range reqs {
		c.read(r)
	}
}

func (c *faultyConn) read(req shuffle.ReadRequest) {
	r := c.script.next("read")
	if r != nil {
		req.Release = append([]uint64(nil), req.Release...)
		req.Ranges = append([]shuffle.Range(nil), req.Ranges...)
		req.Arrived = nil // the rule's doing is to be seen
	}
	end := req.Done
	c.apply(r, req.Dst,
		func(done func(error)) {
			req.Done = done
			c.Conn.Read([]shuffle.ReadRequest{req})
		},
		func(_ []shuffle.Located, err error) {
			if r != nil && r.action == "fail" && r.reason != shuffle.ReasonNone {
				c.Release(req.Release) // an owner that answers takes handles back, whatever it answers
			}
			end(err)
		})
}

// locatedResult carries an answer through the error that apply's start reports.
type locatedResult struct{ located []shuffle.Located }

func (*locatedResult) Error() string { return "an answer" }

func finishLocate(l []shuffle.Located, err error, done func(error)) {
	if err == nil {
		err = &locatedResult{l}
	}
	done(err)
}

// apply does what a rule says with an operation that start begins, and calls done with the outcome.
func (c *faultyConn) apply(r *rule, mem []byte, start func(func(error)), done func([]shuffle.Located, error)) {
	c.mu.Lock()
	c.ops++
	ended := c.ended
	c.mu.Unlock()
	end := func(err error) {
		var l *locatedResult
		if errors.As(err, &l) {
			done(l.located, nil)
		} else {
			done(nil, err)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.ops--; c.ops == 0 {
			c.none.Broadcast()
		}
	}
	switch {
	case r == nil:
		start(end)
		return
	case r.action == "corrupt":
		start(func(err error) {
			if len(mem) > 0 {
				mem[r.index%len(mem)] ^= 1
			}
			end(err)
		})
		return
	case ended:
		go end(errFault)
		return
	}
	go func() {
		switch r.action {
		case "delay":
			select {
			case <-time.After(r.delay):
				start(end)
			case <-c.closed:
				end(errFault)
			}
		case "fail":
			if r.reason != shuffle.ReasonNone {
				end(shuffle.Errorf(r.reason, "fault"))
				return
			}
			c.kill()
			end(errFault)
		case "drop":
			<-c.closed
			end(errFault)
		case "kill":
			start(end)
			c.kill()
		}
	}()
}

// kill breaks the connection under the operations.
func (c *faultyConn) kill() { c.killed.Do(func() { go func() { _ = c.Conn.Close() }() }) }

func (c *faultyConn) Close() error {
	c.mu.Lock()
	if !c.ended {
		c.ended = true
		close(c.closed)
	}
	c.mu.Unlock()
	err := c.Conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.ops > 0 {
		c.none.Wait()
	}
	return err
}

// FaultySource is source src, except for what the script's rules of serve break: with "fail lost" the owner's daemon fails by itself.
func FaultySource(src shuffle.Source, s *Script) shuffle.Source { return &faultySource{src, s} }

type faultySource struct {
	shuffle.Source
	script *Script
}

func (f *faultySource) Locate(ctx context.Context, req *shuffle.LocateRequest) ([]shuffle.Found, error) {
	if err := f.script.next("serve").before(ctx); err != nil {
		return nil, err
	}
	return f.Source.Locate(ctx, req)
}

func (f *faultySource) Ask(ctx context.Context, req *shuffle.LocateRequest, done func([]shuffle.Found)) bool {
	if len(req.Blocks) != 1 {
		return false
	}
	r := f.script.next("serve")
	go func() {
		if err := r.before(ctx); err != nil {
			done([]shuffle.Found{{Err: shuffle.ToBlockError(err)}})
			return
		}
		if f.Source.Ask(ctx, req, done) {
			return
		}
		found, err := f.Source.Locate(ctx, req)
		if err != nil {
			found = []shuffle.Found{{Err: shuffle.ToBlockError(err)}}
		}
		done(found)
	}()
	return true
}
