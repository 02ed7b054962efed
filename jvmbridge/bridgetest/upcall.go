package bridgetest

import (
	"fmt"

	"weft/internal/pb/bridgepb"
)

// Answer is what an executor says when it is asked for a block; the first that is set counts. The zero Answer is "not found".
type Answer struct {
	Inline []byte
	Held   []byte // copied into shared memory when the daemon asks for it
	File   *bridgepb.FileRange
	Error  *bridgepb.UpcallError

	Silent bool // say nothing; the test answers with Send
}

const notFound = 8 // REASON_NOT_FOUND

// Serve answers upcalls by source, which is called on the goroutine that reads frames.
func (c *Client) Serve(source func(name string) Answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.source = source
}

func (c *Client) open(m *bridgepb.OpenBlock) error {
	c.mu.Lock()
	answer := c.source(m.GetName())
	if answer.Held != nil {
		c.held[m.GetUpcallId()] = answer.Held
	}
	c.mu.Unlock()
	opened := &bridgepb.BlockOpened{UpcallId: m.GetUpcallId()}
	switch {
	case answer.Silent:
		return nil
	case answer.Inline != nil:
		opened.Result = &bridgepb.BlockOpened_Inline{Inline: answer.Inline}
	case answer.Held != nil:
		opened.Result = &bridgepb.BlockOpened_Length{Length: uint64(len(answer.Held))}
	case answer.File != nil:
		opened.Result = &bridgepb.BlockOpened_File{File: answer.File}
	case answer.Error != nil:
		opened.Result = &bridgepb.BlockOpened_Error{Error: answer.Error}
	default:
		opened.Result = &bridgepb.BlockOpened_Error{Error: &bridgepb.UpcallError{Reason: notFound, Detail: "no block " + m.GetName()}}
	}
	return c.Send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_BlockOpened{BlockOpened: opened}})
}

func (c *Client) copy(m *bridgepb.CopyBlock) error {
	c.mu.Lock()
	copied := &bridgepb.BlockCopied{UpcallId: m.GetUpcallId()}
	if block, ok := c.held[m.GetUpcallId()]; !ok {
		copied.Error = "the block is not open"
	} else if to, err := c.slice(m.GetSegment(), m.GetOffset(), uint64(len(block))); err != nil {
		copied.Error = err.Error()
	} else {
		copy(to, block)
	}
	c.mu.Unlock()
	return c.Send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_BlockCopied{BlockCopied: copied}})
}

func (c *Client) closeBlock(id uint64) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.held[id]; !ok {
		return fmt.Errorf("CloseBlock of upcall %d, which holds nothing", id)
	}
	delete(c.held, id)
	return nil
}

// Held is the number of blocks that the client holds open.
func (c *Client) Held() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.held)
}
