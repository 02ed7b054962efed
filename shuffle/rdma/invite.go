package rdma

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"

	"weft/shuffle"
	"weft/verbs"
)

// Invite implements shuffle.Direct. An invitation is a token and the address to show it at.
func (n *Node) Invite(app shuffle.App) ([]byte, func(), error) {
	addr, err := n.listener.Addr().MarshalBinary()
	if err != nil {
		return nil, nil, err
	}
	d, err := n.use(app)
	if err != nil {
		return nil, nil, err
	}
	defer d.unuse()
	token, err := n.listener.Offer(d.pd)
	if err != nil {
		return nil, nil, err
	}
	n.mu.Lock()
	left := d.executors == 0
	n.mu.Unlock()
	if left { // meanwhile: Leave may have expelled who there was before
		n.listener.Withdraw(token)
		return nil, nil, errLeft
	}
	return append(token[:], addr...), func() { n.listener.Withdraw(token) }, nil
}

// ParseInvitation tells what to show, and where.
func ParseInvitation(invitation []byte) (token Token, addr netip.AddrPort, err error) {
	if len(invitation) < len(token) || addr.UnmarshalBinary(invitation[copy(token[:], invitation):]) != nil {
		err = fmt.Errorf("rdma: an invitation of %d bytes that does not parse", len(invitation))
	}
	return token, addr, err
}

// conn is a connection of a domain to one peer.
type conn struct {
	*Conn
	d    *Domain
	gone sync.Once
}

// Dial implements shuffle.Direct.
func (n *Node) Dial(ctx context.Context, app shuffle.App, invitation []byte) (shuffle.DirectConn, error) {
	token, addr, err := ParseInvitation(invitation)
	if err != nil {
		return nil, err
	}
	d, err := n.use(app)
	if err != nil {
		return nil, err
	}
	c := &conn{d: d}
	if c.Conn, err = n.device.Dial(ctx, d.pd, addr, token); err != nil {
		d.unuse()
		return nil, err
	}
	n.mu.Lock()
	why := n.broken
	if d.executors == 0 {
		why = errLeft
	}
	d.conns[c] = struct{}{}
	n.mu.Unlock()
	if why != nil { // meanwhile
		c.queue.fail(why)
	}
	return c, nil
}

// Knows implements shuffle.DirectConn.
func (c *conn) Knows(dst []byte) bool {
	r, _ := c.d.find(dst)
	return r != nil
}

// maxRead is how long a READ is, and a turn: long enough for few calls, short enough for the others to have theirs soon.
const maxRead = 256 << 10

// Read implements shuffle.DirectConn.
func (c *conn) Read(reqs []shuffle.DirectRead) {
	var all []Read
	for i := range reqs {
		all = c.append(all, &reqs[i])
	}
	c.Conn.Read(all...)
}

// append adds the READs of one request. The last of them to end tells it.
func (c *conn) append(all []Read, req *shuffle.DirectRead) []Read {
	r, at := c.d.find(req.Dst)
	first := len(all)
	for _, p := range req.Parts {
		for off := int64(0); off < p.Length; off += maxRead {
			n := int(min(maxRead, p.Length-off))
			all = append(all, Read{Local: r.mr.SGE(at, n), Remote: verbs.Remote{Addr: p.Addr + uint64(off), RKey: p.Key}, Stream: req.Stream})
			at += n
		}
	}
	if len(all) == first+1 {
		all[first].Done = req.Done
		return all
	}
	end := &several{done: req.Done}
	end.left.Store(int32(len(all) - first)) //nolint:gosec // of one request
	for i := first; i < len(all); i++ {
		all[i].Done = end.one
	}
	return all
}

// several is a request of more than one READ.
type several struct {
	left   atomic.Int32
	failed atomic.Pointer[error]
	done   func(error)
}

func (s *several) one(err error) {
	if err != nil {
		s.failed.CompareAndSwap(nil, &err)
	}
	if s.left.Add(-1) > 0 {
		return
	}
	if failed := s.failed.Load(); failed != nil {
		s.done(*failed)
		return
	}
	s.done(nil)
}

// Close implements shuffle.DirectConn. A domain of which a connection could not be closed stays.
func (c *conn) Close() error {
	err := c.Conn.Close()
	c.gone.Do(func() {
		c.d.node.mu.Lock()
		delete(c.d.conns, c)
		c.d.node.mu.Unlock()
		if err == nil {
			c.d.unuse()
		}
	})
	return err
}
