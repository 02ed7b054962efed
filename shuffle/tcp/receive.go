package tcp

import (
	"errors"
	"fmt"
	"io"
	"math"

	"google.golang.org/protobuf/proto"

	"weft/internal/pb/peerpb"
	"weft/shuffle"
)

// run reads answers until the connection ends, and then fails what is outstanding.
func (c *conn) run() {
	defer close(c.stopped)
	err := c.receive()
	if errors.Is(err, io.EOF) {
		err = errors.New("the peer closed it")
	}
	c.of.end(err)
	c.out.close()
	c.mu.Lock()
	rest, err := c.ops, c.err
	c.ops = nil
	c.mu.Unlock()
	for _, o := range rest {
		o.fail(err)
	}
}

func (c *conn) receive() error {
	for {
		msg, payload, err := c.in.next()
		if err != nil {
			return err
		}
		c.answers.Add(1)
		kind, value, err := only(msg)
		if err != nil {
			return fmt.Errorf("a frame that does not parse: %w", err)
		}
		switch kind {
		case fieldLocated:
			err = c.receiveLocated(value, payload)
		case fieldData:
			err = c.receiveData(value, payload)
		default:
			err = c.receiveOther(msg, payload)
		}
		if err != nil {
			return err
		}
	}
}

func (c *conn) receiveOther(msg []byte, payload int) error {
	var resp peerpb.Response
	if err := proto.Unmarshal(msg, &resp); err != nil {
		return fmt.Errorf("a frame that does not parse: %w", err)
	}
	switch {
	case payload != 0:
		return fmt.Errorf("a payload of %d bytes that nothing asked for", payload)
	case resp.GetOpened() != nil:
		return c.receiveOpened(resp.GetOpened())
	case resp.GetPong() != nil:
		return nil
	case resp.GetRefused() != nil:
		return fmt.Errorf("the peer ended it: %s", resp.GetRefused().GetDetail())
	default:
		return errors.New("an answer of an unknown kind")
	}
}

// op is the operation that an answer is for, if it is of the right kind. It remains outstanding, and its memory the connection's, until finish.
func (c *conn) op(id uint64, kind func(*op) bool) (*op, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.ops[id]
	if o == nil || !kind(o) {
		return nil, fmt.Errorf("an answer to request %d, which is not outstanding", id)
	}
	return o, nil
}

func isOpen(o *op) bool   { return o.opened != nil }
func isLocate(o *op) bool { return o.located != nil }
func isRead(o *op) bool   { return o.read != nil }

func (c *conn) finish(id uint64, o *op) {
	c.mu.Lock()
	delete(c.ops, id)
	c.mu.Unlock()
	c.unread.Add(-o.large())
}

func (c *conn) receiveLocated(value []byte, payload int) error {
	m := &c.located
	if err := m.parse(value); err != nil {
		return fmt.Errorf("a frame that does not parse: %w", err)
	}
	o, err := c.op(m.id, isLocate)
	if err != nil {
		return err
	}
	answer, eager, err := m.answer(o.blocks)
	if err != nil {
		return err
	}
	if payload != eager || payload > len(o.mem) {
		return fmt.Errorf("a payload of %d bytes for eager blocks of %d, with %d set aside", payload, eager, len(o.mem))
	}
	if err := c.in.payload(o.mem[:payload]); err != nil {
		return err
	}
	if o.app != nil {
		if err := c.of.direct.learn(*o.app, m, answer); err != nil {
			return err
		}
	}
	c.finish(m.id, o)
	o.located(answer, nil)
	return nil
}

// answer is m as the answer for n blocks, and how many bytes of payload belong to it.
func (m *located) answer(n int) (answer []shuffle.Located, eager int, err error) {
	if len(m.lengths) != n || len(m.handles) != n || (len(m.crcs) != n && len(m.crcs) != 0) ||
		(len(m.reasons) != n && len(m.reasons) != 0) || len(m.errors) != len(m.reasons) {
		return nil, 0, fmt.Errorf("an answer for %d blocks with %d lengths, %d handles, %d checksums, %d reasons and %d errors",
			n, len(m.lengths), len(m.handles), len(m.crcs), len(m.reasons), len(m.errors))
	}
	answer = make([]shuffle.Located, n)
	for i := range answer {
		l := &answer[i]
		if len(m.reasons) > 0 && m.reasons[i] != 0 {
			l.Err = &shuffle.BlockError{Reason: shuffle.Reason(m.reasons[i]), Detail: m.errors[i]}
			continue
		}
		if m.lengths[i] > math.MaxInt64 {
			return nil, 0, fmt.Errorf("a block of %d bytes", m.lengths[i])
		}
		l.Length, l.Handle = int64(m.lengths[i]), m.handles[i]
		if len(m.crcs) > 0 {
			l.CRC, l.Checked = m.crcs[i], true
		}
		if l.Handle == 0 {
			l.EagerOff = eager
			if l.Length > int64(maxPayload-eager) {
				return nil, 0, fmt.Errorf("an eager block of %d bytes", l.Length)
			}
			eager += int(l.Length)
		}
	}
	return answer, eager, nil
}

func (c *conn) receiveData(value []byte, payload int) error {
	var m data
	if err := m.parse(value); err != nil {
		return fmt.Errorf("a frame that does not parse: %w", err)
	}
	o, err := c.op(m.id, isRead)
	if err != nil {
		return err
	}
	var failed error
	switch {
	case m.reason != 0 && payload == 0:
		failed = &shuffle.BlockError{Reason: shuffle.Reason(m.reason), Detail: m.err}
	case m.reason != 0 || payload != len(o.mem):
		return fmt.Errorf("a payload of %d bytes for a read of %d (reason %d)", payload, len(o.mem), m.reason)
	default:
		if err := c.receiveInto(o.mem, o.arrived); err != nil {
			return err
		}
	}
	c.finish(m.id, o)
	o.read(failed)
	return nil
}

// receiveInto fills mem: with what was read ahead, and then past that buffer.
func (c *conn) receiveInto(mem []byte, arrived func(n int)) error {
	if arrived == nil {
		arrived = func(int) {}
	}
	n := min(c.in.r.Buffered(), len(mem))
	if n > 0 {
		if err := c.in.payload(mem[:n]); err != nil {
			return err
		}
		arrived(n)
	}
	if n == len(mem) {
		return nil
	}
	return c.bulk.fill(mem, n, arrived)
}
