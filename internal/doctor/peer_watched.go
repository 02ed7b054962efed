package doctor

import (
	"context"
	"net/netip"
	"time"

	"weft/shuffle"
	"weft/shuffle/rdma"
)

// watched notes how connecting by a device goes, and one read, which the transport that uses it keeps to itself: it goes on over TCP. The
// fields are to be read when the connection was closed.
type watched struct {
	shuffle.Direct

	dialled  bool
	addr     netip.AddrPort
	dialTook time.Duration
	dialErr  error
	readTook time.Duration
	readErr  error
}

// Dial implements shuffle.Direct. One question to the peer makes for one call.
func (w *watched) Dial(ctx context.Context, app shuffle.App, invitation []byte) (shuffle.DirectConn, error) {
	w.dialled = true
	_, w.addr, _ = rdma.ParseInvitation(invitation)
	began := time.Now()
	c, err := w.Direct.Dial(ctx, app, invitation)
	w.dialTook, w.dialErr = time.Since(began), err
	if err != nil {
		return nil, err
	}
	return &watchedConn{c, w}, nil
}

type watchedConn struct {
	shuffle.DirectConn
	of *watched
}

// Read implements shuffle.DirectConn.
func (c *watchedConn) Read(reqs []shuffle.DirectRead) {
	began := time.Now()
	for i := range reqs {
		done := reqs[i].Done
		reqs[i].Done = func(err error) {
			c.of.readTook, c.of.readErr = time.Since(began), err
			done(err)
		}
	}
	c.DirectConn.Read(reqs)
}
