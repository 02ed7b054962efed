package tcp

import (
	"errors"
	"log/slog"
	"sync"
	"time"

	"weft/shuffle"
)

// bundle is the connections to one peer, as one shuffle.Conn. The first carries requests and small blocks, which so wait behind no large
// one; the others, the streams, carry Reads, so that more than one processor receives. When one of them ends, all do.
type bundle struct {
	conns []*conn
	log   *slog.Logger

	closed chan struct{}
	once   sync.Once
}

// start lets the connections work.
func (b *bundle) start(timeout time.Duration) {
	for _, c := range b.conns {
		c.join(b, timeout)
	}
	for _, c := range b.conns {
		go c.run()
	}
}

func (b *bundle) streams() []*conn { return b.conns[1:] }

// end ends all connections, c first: when it returns, c has ended. If c had before, somebody else sees to the others.
func (b *bundle) end(c *conn, err error) {
	outstanding, first := c.stop(err)
	if !first {
		return
	}
	b.once.Do(func() {
		for _, other := range b.conns {
			n, _ := other.stop(err)
			outstanding += n
		}
		close(b.closed)
		if !errors.Is(err, errClosed) {
			b.log.Warn("the connection to a peer ended; blocks outstanding on it go another way", "err", err, "outstanding", outstanding)
		}
	})
}

// Locate implements shuffle.Conn.
func (b *bundle) Locate(req *shuffle.LocateRequest, eager []byte, done func([]shuffle.Located, error)) {
	b.conns[0].Locate(req, eager, done)
}

// enough is how many bytes a stream has to receive before the next one is used. What is less keeps no second processor busy, and a stream
// that is in use knows the rate of the path.
const enough = 8 << 20

// Read implements shuffle.Conn: each read goes to the first stream that has not enough to receive, else to the one that has least.
func (b *bundle) Read(reqs []shuffle.ReadRequest) {
	streams := b.streams()
	load := make([]int64, len(streams))
	for i, c := range streams {
		load[i] = c.unread.Load()
	}
	by := make([]int, len(reqs))
	for i := range reqs {
		least := 0
		for j := range load {
			if load[least] >= enough && load[j] < load[least] {
				least = j
			}
		}
		by[i] = least
		load[least] += int64(len(reqs[i].Dst))
	}
	for i, c := range streams {
		c.Read(reqs, by, i)
	}
}

// Release implements shuffle.Conn.
func (b *bundle) Release(handles []uint64) { b.conns[0].Release(handles) }

// Close implements shuffle.Conn.
func (b *bundle) Close() error {
	b.end(b.conns[0], errClosed)
	for _, c := range b.conns {
		c.wait()
	}
	return nil
}

// Closed implements shuffle.Conn.
func (b *bundle) Closed() <-chan struct{} { return b.closed }
