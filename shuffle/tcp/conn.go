package tcp

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/auth"
)

var errClosed = errors.New("tcp: the connection was closed")

// conn is the asking side of one connection of a bundle. One goroutine reads; it alone writes to memory given to Locate and Read, and it
// calls done.
type conn struct {
	of    *bundle
	wire  *wire
	hello Hello // of the peer
	in    *frames
	bulk  *bulk
	out   *outbox

	binding auth.Binding // for proofs
	opens   sync.Mutex   // held while an Open is sent

	answers atomic.Uint64
	unread  atomic.Int64  // bytes of Reads not completed
	stopped chan struct{} // closed when the reading goroutine has left

	mu      sync.Mutex
	ops     map[uint64]*op
	last    uint64
	err     error // why the connection ended; nothing begins after it
	ticker  *time.Timer
	quiet   int    // ticks without a byte received
	counted uint64 // bytes that the kernel had received at the last tick

	located located // of the reading goroutine, used again
}

// op is an Open, a Locate or a Read that was not answered. One of opened, located and read is set.
type op struct {
	mem     []byte       // eager or Dst
	blocks  int          // Locate: how many answers it wants
	app     *shuffle.App // Open; Locate: it asks where the blocks lie
	opened  func(id uint64, err error)
	located func([]shuffle.Located, error)
	arrived func(n int) // may be nil
	read    func(error)
}

func (o *op) fail(err error) {
	switch {
	case o.opened != nil:
		o.opened(0, err)
	case o.located != nil:
		o.located(nil, err)
	default:
		o.read(err)
	}
}

// large is how many bytes it adds to those that a stream has to receive.
func (o *op) large() int64 {
	if o.read == nil {
		return 0
	}
	return int64(len(o.mem))
}

func newConn(w *wire) *conn {
	return &conn{wire: w, in: newFrames(w), bulk: newBulk(w), stopped: make(chan struct{}), ops: make(map[uint64]*op)}
}

// ticks is how many parts of the peer's time-out pass until a silent peer is lost.
const ticks = 4

// join makes c a part of b. Nothing is received before run.
func (c *conn) join(b *bundle, timeout time.Duration) {
	c.of = b
	c.out = newOutbox(c.wire, b.end)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil { // another of b has ended already
		return
	}
	c.ticker = time.AfterFunc(timeout/ticks, func() { c.tick(timeout) })
}

// tick asks a silent peer for a sign of life, and gives it up when none comes.
func (c *conn) tick(timeout time.Duration) {
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return
	}
	if n := c.received(); n != c.counted {
		c.counted, c.quiet = n, 0
	} else {
		c.quiet++
	}
	quiet := c.quiet
	c.ticker.Reset(timeout / ticks)
	c.mu.Unlock()
	switch {
	case quiet > ticks:
		c.of.end(fmt.Errorf("the peer was silent for %v (weft.peer.timeout), and did not answer a ping", timeout))
	case quiet > 0:
		c.send(&peerpb.Request{Kind: &peerpb.Request_Ping{Ping: &peerpb.Ping{Nonce: uint64(quiet)}}}, 16)
	}
}

// received is how many bytes the kernel has received, be they read or not; where it does not tell, how many answers have come.
func (c *conn) received() uint64 {
	n := c.answers.Load()
	_ = c.wire.rc.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil && info.Bytes_received > 0 {
			n = info.Bytes_received
		}
	})
	return n
}

// stop makes the connection of no more use, and tells how many operations were outstanding. The reading goroutine then fails them.
func (c *conn) stop(err error) (outstanding int) {
	c.mu.Lock()
	c.err = err
	if c.ticker != nil {
		c.ticker.Stop()
	}
	outstanding = len(c.ops)
	c.mu.Unlock()
	_ = c.wire.sock.Close() // waits for who reads from it, until the socket has no more for now
	return outstanding
}

// begin enters an operation and returns its id, or tells it on a goroutine of its own that the connection has ended.
func (c *conn) begin(o *op) (id uint64, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.last++
		c.ops[c.last] = o
		if n := o.large(); n > 0 && c.unread.Add(n) == n {
			c.bulk.moved.Store(time.Now().UnixNano())
		}
		return c.last, true
	}
	c.of.refuse(o, c.err)
	return 0, false
}

// withdraw fails an operation that could not be sent.
func (c *conn) withdraw(id uint64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if o := c.ops[id]; o != nil {
		delete(c.ops, id)
		c.unread.Add(-o.large())
		c.of.refuse(o, err)
	}
}

// Locate is that of shuffle.Conn, for the application that was opened by that request.
func (c *conn) Locate(open uint64, req *shuffle.LocateRequest, eager []byte, done func([]shuffle.Located, error)) {
	o := &op{mem: eager, blocks: len(req.Blocks), located: done}
	var invitation bool
	if d := c.of.direct; d != nil {
		var parts bool
		if parts, invitation = d.ask(req.App); parts {
			app := req.App
			o.app = &app
		}
	}
	id, ok := c.begin(o)
	if !ok {
		return
	}
	blocks, err := shuffle.BlocksToProto(req.Blocks)
	if err != nil {
		c.withdraw(id, shuffle.ErrOrder)
		return
	}
	m := &peerpb.Locate{
		Id: id, Open: open, ExecutorId: req.Executor, Blocks: blocks,
		EagerBytes: uint32(min(len(eager), maxPayload)), EagerBlock: uint32(min(max(req.EagerBlock, 0), maxPayload)),
		Parts: o.app != nil, Invitation: invitation,
	}
	if err := c.send(&peerpb.Request{Kind: &peerpb.Request_Locate{Locate: m}}, 256+16*len(req.Blocks)); err != nil {
		c.withdraw(id, shuffle.Errorf(shuffle.ReasonInternal, "locate of %d blocks: %v", len(req.Blocks), err))
	}
}

// Read is that of shuffle.Conn, for the requests that by names stream for. They leave together.
func (c *conn) Read(reqs []shuffle.ReadRequest, by []int, stream int) {
	n, ranges := 0, 0
	for i := range reqs {
		if by[i] == stream {
			n++
			ranges += len(reqs[i].Ranges)
		}
	}
	if n == 0 {
		return
	}
	buf := getBuffer(64*n + 32*ranges)
	var m readMsg
	for i := range reqs {
		if by[i] != stream {
			continue
		}
		r := &reqs[i]
		id, ok := c.begin(&op{mem: r.Dst, arrived: r.Arrived, read: r.Done})
		if !ok {
			continue
		}
		frame, err := m.frame(buf.b, id, r)
		if err != nil {
			c.withdraw(id, err)
			continue
		}
		buf.b = frame
	}
	if len(buf.b) == 0 {
		buf.free()
		return
	}
	c.out.send(&frame{head: buf}, true)
}

// frame appends to b the frame of a Read.
func (m *readMsg) frame(b []byte, id uint64, r *shuffle.ReadRequest) ([]byte, error) {
	m.id, m.release = id, r.Release
	m.handles, m.offsets, m.lengths = m.handles[:0], m.offsets[:0], m.lengths[:0]
	sum := int64(0)
	for _, p := range r.Ranges {
		m.handles, m.offsets, m.lengths = append(m.handles, p.Handle), append(m.offsets, uint64(p.Offset)), append(m.lengths, uint64(p.Length))
		sum += p.Length
	}
	if sum != int64(len(r.Dst)) || len(r.Dst) > maxPayload {
		return nil, shuffle.Errorf(shuffle.ReasonInternal, "read of %d bytes into memory of %d, at most %d", sum, len(r.Dst), maxPayload)
	}
	start := len(b)
	b = m.append(append(b, make([]byte, headerLen)...))
	if err := seal(b[start:], 0); err != nil {
		return nil, shuffle.Errorf(shuffle.ReasonInternal, "read of %d ranges: %v", len(r.Ranges), err)
	}
	return b, nil
}

// Release is that of shuffle.Conn.
func (c *conn) Release(handles []uint64) {
	if len(handles) > 0 {
		_ = c.send(&peerpb.Request{Kind: &peerpb.Request_Release{Release: &peerpb.Release{Handle: handles}}}, 64+8*len(handles))
	}
}

// send sends a request of about size bytes.
func (c *conn) send(m proto.Message, size int) error {
	buf := getBuffer(size)
	b, err := marshal(newFrame(buf.b), m)
	if err != nil {
		buf.free()
		return err
	}
	buf.b = b
	c.out.send(&frame{head: buf}, true)
	return nil
}
