package tcp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/auth"
	"weft/shuffle/serve"
)

// server is the answering side of a connection. One goroutine reads requests, the outbox sends. A Locate is answered by the
// reader where all of it lies ready, and by who brings the answer of the executor that alone can give it; any other is resolved on a goroutine of its own.
type server struct {
	*Server
	wire *wire
	in   *frames
	out  *outbox
	log  *slog.Logger

	group    []byte       // its name; empty: none
	binding  auth.Binding // for proofs
	opened   opened
	unproven sync.Once // a line about wrong proofs

	ctx     context.Context // ends with the connection
	cancel  context.CancelCauseFunc
	once    sync.Once
	locates sync.WaitGroup
	since   time.Time // it was accepted

	invited     sync.Mutex
	withdrawals map[shuffle.App][]func() // of the invitations that were sent

	read readMsg // of the reading goroutine, used again
}

func newServer(s *Server, sock *net.TCPConn) *server {
	w := &wire{sock: sock}
	c := &server{
		Server: s, wire: w, in: newFrames(w),
		log: s.opts.Log.With("transport", w.name(), "peer", sock.RemoteAddr().String()),
	}
	c.in.most, c.since = maxStrange, time.Now()
	c.ctx, c.cancel = context.WithCancelCause(s.ctx)
	return c
}

// run serves the connection until it ends.
func (c *server) run() {
	err := c.greet()
	if err == nil {
		c.out = newOutbox(c.wire, c.end)
		expiry := time.NewTicker(handleIdle / 2)
		expired := make(chan struct{})
		go func() {
			defer close(expired)
			c.expire(expiry.C)
		}()
		err = c.receive()
		c.end(err)
		expiry.Stop()
		<-expired
		c.locates.Wait()
		c.withdraw()
		c.out.close()
	}
	c.end(err)
	for _, g := range c.opened.all() {
		c.groups.leave(g)
		c.opts.Quotas.Conns.Give(g.key.app.ID, 1)
	}
}

// end ends the connection. The first error is the cause.
func (c *server) end(err error) {
	c.once.Do(func() {
		_ = c.wire.sock.Close() // first, so that nothing cancelled is taken for an answer
		c.cancel(err)
		if errors.Is(err, io.EOF) || errors.Is(err, errClosed) {
			return
		}
		first := true // of its group
		for _, g := range c.opened.all() {
			first = !g.told.Swap(true) && first
		}
		if first {
			c.log.Warn("a peer's connection ended; what it asked for is dropped", "err", err)
		}
	})
}

func (c *server) expire(tick <-chan time.Time) {
	for {
		select {
		case now := <-tick:
			c.tidy(now)
		case <-c.ctx.Done():
			return
		}
	}
}

// tidy gives up what the peer has not read for long: blocks, or the connection where it is an answer.
func (c *server) tidy(now time.Time) {
	n := 0
	for _, g := range c.opened.all() {
		n += g.Expire(now.Add(-handleIdle))
	}
	if n > 0 {
		c.log.Warn("blocks held open for a peer were not read and are given up", "blocks", n, "idle", handleIdle)
	}
	if c.out.stuck(now.Add(-handleIdle)) {
		c.end(fmt.Errorf("one answer was not read within %v", handleIdle))
	}
}

// greet exchanges Hello, under TLS where the peer begins with that. All of it has to be done within the time for a greeting.
func (c *server) greet() error {
	if err := c.wire.tune(c.opts.PeerTimeout); err != nil {
		return err
	}
	if err := c.wire.sock.SetDeadline(time.Now().Add(greeting)); err != nil {
		return err
	}
	if sealed, err := c.wire.beginsTLS(); err != nil {
		return err
	} else if sealed {
		if err := c.wire.accept(c.identity); err != nil {
			return err
		}
		c.log = c.opts.Log.With("transport", c.wire.name(), "peer", c.wire.sock.RemoteAddr().String())
	}
	msg, payload, err := c.in.next()
	if err != nil {
		return err
	}
	var req peerpb.Request
	if err := proto.Unmarshal(msg, &req); err != nil {
		return fmt.Errorf("it does not begin with a hello: %w", err)
	}
	if payload != 0 || req.GetHello() == nil {
		return errors.New("it does not begin with a hello")
	}
	hello := req.GetHello()
	if v := hello.GetVersion(); v != protocol {
		detail := fmt.Sprintf("this daemon speaks version %d of the protocol, not %d; install the same version of weft on all nodes", protocol, v)
		_, _ = writeMessage(c.wire, &peerpb.Response{Kind: &peerpb.Response_Refused{Refused: &peerpb.Refused{Detail: detail}}})
		return errors.New(detail)
	}
	if n := len(hello.GetGroup()); n != 0 && n != groupLen {
		return fmt.Errorf("a group's name of %d bytes", n)
	}
	if n := len(hello.GetNonce()); n != auth.NonceLen {
		return fmt.Errorf("a hello with a nonce of %d bytes", n)
	}
	sent, err := writeMessage(c.wire, &peerpb.Response{Kind: &peerpb.Response_Hello{Hello: c.opts.hello(c.wire)}})
	if err != nil {
		return err
	}
	c.group = hello.GetGroup()
	if c.binding, err = c.wire.bind(msg, sent); err != nil {
		return err
	}
	c.wire.greeted()
	return c.wire.sock.SetDeadline(time.Time{})
}

func (c *server) receive() error {
	for {
		c.out.await()
		msg, payload, err := c.in.next()
		if err != nil {
			return err
		}
		if payload != 0 {
			return fmt.Errorf("a request with a payload of %d bytes", payload)
		}
		kind, value, err := only(msg)
		if err == nil && kind == fieldRead {
			if err = c.read.parse(value); err == nil {
				c.serveRead(&c.read)
				continue
			}
		}
		var req peerpb.Request
		if err == nil {
			err = proto.Unmarshal(msg, &req)
		}
		if err != nil {
			return fmt.Errorf("a frame that does not parse: %w", err)
		}
		switch {
		case req.GetLocate() != nil:
			err = c.serveLocate(req.GetLocate(), len(msg))
		case req.GetRelease() != nil:
			c.opened.release(req.GetRelease().GetHandle())
		case req.GetOpen() != nil:
			err = c.serveOpen(req.GetOpen())
		case req.GetPing() != nil:
			err = c.sendMessage(&peerpb.Response{Kind: &peerpb.Response_Pong{Pong: req.GetPing()}})
		default:
			err = errors.New("a request of an unknown kind")
		}
		if err != nil {
			return err
		}
	}
}

// Memory of a request while it is resolved, about.
const (
	locateSize = 16 << 10 // beside its blocks
	blockSize  = 256      // of a block, beside its name
)

// locating counts a request of so many bytes as being resolved until done. It is refused where the application has too many: others', which come
// over the same connection, do not count.
func (c *server) locating(g *group, size int) (done func(), refused *shuffle.BlockError) {
	share, cost := c.opts.Quotas.Locates.Of(g.key.app.ID), locateSize+int64(size)
	if g.locating.Add(1) > maxLocates {
		g.locating.Add(-1)
		return nil, shuffle.Errorf(shuffle.ReasonNoSpace, "%d requests of this peer for the application are being resolved already", maxLocates)
	}
	if !share.Take(cost) {
		g.locating.Add(-1)
		return nil, shuffle.Errorf(shuffle.ReasonNoSpace, "the application's share (weft.app.share) of the memory for requests being resolved is in use")
	}
	return func() {
		share.Give(cost)
		g.locating.Add(-1)
	}, nil
}

// serveLocate has a request of so many bytes resolved: at once, by whoever has the executor's answer, or on a goroutine of its own. An error ends the connection.
func (c *server) serveLocate(m *peerpb.Locate, size int) error {
	g, err := c.app(m.GetOpen())
	if err != nil {
		return err
	}
	blocks, err := shuffle.BlocksFromProto(m.GetBlocks())
	if err != nil {
		return fmt.Errorf("a frame that does not parse: %w", err)
	}
	req := &shuffle.LocateRequest{App: g.key.app, Executor: m.GetExecutorId(), Blocks: blocks, EagerBlock: int(m.GetEagerBlock()), EagerBytes: int(min(m.GetEagerBytes(), maxEager))}
	id, room := m.GetId(), req.EagerBytes
	done, refused := c.locating(g, size+blockSize*len(blocks))
	if refused != nil {
		return c.answer(g, id, serve.Refuse(len(blocks), refused), req.EagerBlock, 0, nil)
	}
	var want *exposure
	if m.GetParts() && c.opts.direct(c.wire) {
		want = &exposure{req.App, m.GetInvitation()}
	}
	c.locates.Add(1)
	answer := func(found []shuffle.Found) {
		defer c.locates.Done()
		err := c.answer(g, id, found, req.EagerBlock, room, want)
		done()
		if err != nil {
			c.end(err)
		}
	}
	if !serve.Ask(c.ctx, c.src, req, answer) {
		go func() { answer(serve.Find(c.ctx, c.src, req)) }()
	}
	return nil
}

func (c *server) sendMessage(m proto.Message) error {
	buf := getBuffer(64)
	b, err := marshal(newFrame(buf.b), m)
	if err != nil {
		buf.free()
		return err
	}
	buf.b = b
	c.out.send(&frame{head: buf}, true)
	return nil
}
