package rdma

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"weft/verbs"
)

// Conn reads from one peer's memory. Its methods may be called from many goroutines.
type Conn struct {
	device *Device
	cm     *verbs.CMChannel
	id     *verbs.CMID
	qp     *verbs.QP
	queue  *queue
	tasks  sync.WaitGroup
	close  func() error
}

// Dial connects to the peer's listener. token is what it was told to wait for; pd is the domain of the memory that is read into. It fails when
// ctx ends.
func (d *Device) Dial(ctx context.Context, pd *verbs.PD, peer netip.AddrPort, token Token) (*Conn, error) {
	if err := d.comp.reserve(d.opts.Reads); err != nil {
		return nil, err
	}
	c := &Conn{device: d}
	err := c.connect(ctx, pd, peer, token)
	if err != nil {
		if c.queue != nil {
			c.queue.fail(err)
		}
		return nil, fmt.Errorf("rdma: %v: %w", peer, errors.Join(err, c.release()))
	}
	c.close = sync.OnceValue(c.end)
	c.tasks.Go(c.watch)
	return c, nil
}

func (c *Conn) connect(ctx context.Context, pd *verbs.PD, peer netip.AddrPort, token Token) (err error) {
	if c.cm, err = verbs.NewCMChannel(); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = c.cm.Interrupt() })
	defer func() {
		if !stop() && (err == nil || errors.Is(err, verbs.ErrClosed)) {
			err = context.Cause(ctx)
		}
	}()
	if c.id, err = c.cm.NewID(); err != nil {
		return err
	}
	limit := time.Minute // of the steps that take one; ctx ends before
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline)
	}
	steps := []struct {
		begin func() error
		want  verbs.CMEventType
	}{
		{func() error { return c.id.ResolveAddr(netip.AddrPort{}, peer, limit) }, verbs.CMAddrResolved},
		{func() error { return c.id.ResolveRoute(limit) }, verbs.CMRouteResolved},
		{func() error { return c.request(pd, token) }, verbs.CMEstablished},
	}
	for _, s := range steps {
		if err := s.begin(); err != nil {
			return err
		}
		e, err := c.cm.Expect(s.want, time.Time{})
		if err != nil {
			return explain(e, err)
		}
	}
	return nil
}

// request makes the queue pair and asks the peer for the connection.
func (c *Conn) request(pd *verbs.PD, token Token) error {
	d := c.device
	if c.id.DeviceName() != d.ctx.Name() {
		return fmt.Errorf("the way to the peer is by the device %s, not by %s", c.id.DeviceName(), d.ctx.Name())
	}
	if err := c.id.SetAckTimeout(d.opts.AckTimeout); err != nil {
		d.opts.Log.Warn("the device's own time-out for acknowledgements is used: a peer that vanishes is noticed late", "err", err)
	}
	var err error
	c.qp, err = c.id.CreateQP(verbs.QPConfig{PD: pd, SendCQ: d.comp.cq, RecvCQ: d.comp.cq, SendWRs: d.opts.Reads, RecvWRs: 1, SendSGEs: 1})
	if err != nil {
		return err
	}
	c.queue = newQueue(c.qp, d.opts.Reads, d.opts.Window)
	if err := d.comp.add(c.qp.Num(), c.queue); err != nil {
		return err
	}
	return c.id.Connect(verbs.ConnParam{PrivateData: token[:], InitiatorDepth: d.depth, Retries: d.opts.Retries, RNRRetries: rnrRetries})
}

// explain adds what the peer said when it refused.
func explain(e *verbs.CMEvent, err error) error {
	if e == nil || e.Type != verbs.CMRejected {
		return err
	}
	said := e.PrivateData
	for i, b := range said {
		if b == 0 {
			said = said[:i]
			break
		}
	}
	if len(said) == 0 && e.Status == nobodyListens {
		return fmt.Errorf("nobody listens there: %w", err)
	}
	return fmt.Errorf("refused: %s: %w", said, err)
}

// nobodyListens is the InfiniBand standard's reason for rejecting a connection to a port without a listener.
const nobodyListens = 8

// Read begins READs. Dones of an unbroken connection are called in the order in which they began.
func (c *Conn) Read(reads ...Read) { c.queue.read(reads) }

// Gone is closed when the connection is of no more use. It has to be closed then, too: until then the owner keeps its end.
func (c *Conn) Gone() <-chan struct{} { return c.queue.gone }

// Err is why the connection is of no more use; nil while it is.
func (c *Conn) Err() error { return c.queue.cause() }

// watch waits for the end of the connection: a READ from a process that was killed ends only when this side disconnects, too.
func (c *Conn) watch() {
	for {
		e, err := c.cm.Next(time.Time{})
		switch {
		case err != nil:
			if !errors.Is(err, verbs.ErrClosed) {
				c.queue.fail(err)
			}
			return
		case e.Type == verbs.CMTimewaitExit:
		default:
			c.queue.fail(fmt.Errorf("rdma: the connection to %v ended: %w", c.id.PeerAddr(), e.Err()))
			_ = c.id.Disconnect()
		}
	}
}

// Close ends the connection. When it returns nil, every Done was called and no memory will be written any more. With an error the device may not have
// let go: then what was in flight never ends.
func (c *Conn) Close() error { return c.close() }

func (c *Conn) end() error {
	c.queue.fail(errClosed)
	_ = c.id.Disconnect() // fails where the peer did
	if !c.queue.drained(patience, c.device.comp.ended) {
		c.device.opts.Log.Error("an RDMA device did not flush what was in flight; its queue pair is destroyed", "device", c.device.ctx.Name())
	}
	c.told(c.cm.Interrupt())
	c.tasks.Wait()
	return c.release()
}

// release closes what was opened, the last first. An error means that the queue pair is there still: its completions go on to the queue, and its room
// is not given back.
func (c *Conn) release() error {
	comp := c.device.comp
	var errs []error
	if c.qp != nil {
		if err := c.qp.Close(); err != nil {
			return err
		}
		comp.remove(c.qp.Num(), c.queue)
		errs = append(errs, c.queue.destroyed())
	}
	if c.id != nil {
		errs = append(errs, c.id.Close())
	}
	if c.cm != nil {
		errs = append(errs, c.cm.Close())
	}
	comp.giveBack(c.device.opts.Reads)
	c.told(errors.Join(errs...))
	return nil
}

// told logs an error by which no memory can be written any more, but something is not given back.
func (c *Conn) told(err error) {
	if err != nil {
		c.device.opts.Log.Error("an RDMA connection was not given back in full", "device", c.device.ctx.Name(), "err", err)
	}
}
