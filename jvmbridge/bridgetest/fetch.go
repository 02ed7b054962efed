package bridgetest

import (
	"context"
	"fmt"

	"weft/internal/pb/blockpb"
	"weft/internal/pb/bridgepb"
)

// Block is how one block of a fetch ended.
type Block struct {
	Bytes     []byte // in the segment, until the lease is released or the client closed; a copy if it came in pieces
	Lease     uint64 // 0: nothing to release
	Pieces    int
	Transport string

	Reason blockpb.Reason // not 0: it failed
	Detail string
}

// Fetch is one request.
type Fetch struct {
	ID     uint64
	Blocks []Block // complete when Done is closed

	client *Client
	ended  []bool
	left   int
	err    error
	done   chan struct{}
}

// Fetch begins a request; it sets the request's id.
func (c *Client) Fetch(m *bridgepb.Fetch) (*Fetch, error) {
	n := len(m.GetBlocks().GetShuffleId()) + len(m.GetBlocks().GetName())
	f := &Fetch{client: c, Blocks: make([]Block, n), ended: make([]bool, n), left: n, done: make(chan struct{})}
	c.mu.Lock()
	c.last++
	f.ID = c.last
	c.fetches[f.ID] = f
	c.mu.Unlock()
	m.RequestId = f.ID
	return f, c.Send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Fetch{Fetch: m}})
}

// FetchAll fetches and waits until every block has ended.
func (c *Client) FetchAll(ctx context.Context, m *bridgepb.Fetch) ([]Block, error) {
	f, err := c.Fetch(m)
	if err != nil {
		return nil, err
	}
	return f.Wait(ctx)
}

// Wait returns the blocks when every one has ended; an error when the session or ctx ended before.
func (f *Fetch) Wait(ctx context.Context) ([]Block, error) {
	select {
	case <-f.done:
		return f.Blocks, f.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Cancel asks the daemon to end the request.
func (f *Fetch) Cancel() error {
	return f.client.Send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Cancel{Cancel: &bridgepb.Cancel{RequestId: f.ID}}})
}

// Release gives back one share for each of the blocks.
func (c *Client) Release(blocks ...Block) error {
	shares := map[uint64]uint32{}
	for _, b := range blocks {
		if b.Lease != 0 {
			shares[b.Lease]++
		}
	}
	m := &bridgepb.Release{}
	for lease, n := range shares {
		m.Lease = append(m.Lease, lease)
		m.Count = append(m.Count, n)
	}
	return c.Send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Release{Release: m}})
}

func (c *Client) delivered(m *bridgepb.Delivered) error {
	c.mu.Lock()
	f := c.fetches[m.GetRequestId()]
	if f == nil {
		c.mu.Unlock()
		return fmt.Errorf("a Delivered for request %d, which is not under way", m.GetRequestId())
	}
	pieces, err := f.take(m)
	if f.left == 0 {
		delete(c.fetches, f.ID)
		close(f.done)
	}
	c.mu.Unlock()
	if err != nil || pieces == 0 {
		return err
	}
	return c.Send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Release{Release: &bridgepb.Release{
		Lease: []uint64{m.GetLease()}, Count: []uint32{uint32(pieces)},
	}}})
}

// take notes what came. The number is that of the shares to give back at once. The client's mu is held.
func (f *Fetch) take(m *bridgepb.Delivered) (pieces int, err error) {
	n := len(m.GetBlock())
	if n == 0 || len(m.GetOffset()) != n || len(m.GetLength()) != n {
		return 0, fmt.Errorf("a Delivered with lists of %d, %d and %d entries", n, len(m.GetOffset()), len(m.GetLength()))
	}
	for i, block := range m.GetBlock() {
		var bytes []byte
		if len(m.GetInline()) > 0 {
			if bytes = m.GetInline(); m.GetLease() != 0 || m.GetLength()[i] != uint64(len(bytes)) || m.GetBlockLength() != uint64(len(bytes)) {
				return 0, fmt.Errorf("%d bytes inside a frame that says something else of them", len(bytes))
			}
			f.client.inside++
		} else if m.GetLease() != 0 {
			if bytes, err = f.client.slice(m.GetSegment(), m.GetOffset()[i], m.GetLength()[i]); err != nil {
				return 0, err
			}
		} else if m.GetLength()[i] != 0 {
			return 0, fmt.Errorf("%d bytes in no lease", m.GetLength()[i])
		}
		b := &f.Blocks[block]
		b.Transport = m.GetTransport()
		if m.GetBlockLength() == 0 {
			b.Bytes, b.Lease = bytes, m.GetLease()
			if err := f.end(block); err != nil {
				return 0, err
			}
			continue
		}
		if m.GetPieceOffset() != uint64(len(b.Bytes)) || n != 1 {
			return 0, fmt.Errorf("a piece at %d, expected at %d", m.GetPieceOffset(), len(b.Bytes))
		}
		b.Bytes = append(b.Bytes, bytes...)
		b.Pieces++
		if m.GetLease() != 0 {
			pieces = 1
		}
		if uint64(len(b.Bytes)) == m.GetBlockLength() {
			if err := f.end(block); err != nil {
				return 0, err
			}
		}
	}
	return pieces, nil
}

func (f *Fetch) end(block uint32) error {
	if f.ended[block] {
		return fmt.Errorf("block %d of request %d ended twice", block, f.ID)
	}
	f.ended[block] = true
	f.left--
	return nil
}

func (c *Client) failed(m *bridgepb.Failed) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.fetches[m.GetRequestId()]
	if f == nil {
		return fmt.Errorf("a Failed for request %d, which is not under way", m.GetRequestId())
	}
	for _, block := range m.GetBlock() {
		f.Blocks[block].Reason, f.Blocks[block].Detail = m.GetReason(), m.GetDetail()
		if err := f.end(block); err != nil {
			return err
		}
	}
	if f.left == 0 {
		delete(c.fetches, f.ID)
		close(f.done)
	}
	return nil
}

func (f *Fetch) fail(err error) {
	f.err = fmt.Errorf("session ended: %w", err)
	close(f.done)
}
