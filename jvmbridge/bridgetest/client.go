// Package bridgetest is an executor's side of the bridge in Go, for tests: it connects, maps segments, fetches, releases and answers
// upcalls. It shares no code with the daemon's side but the descriptor passing, so each checks the other.
//
// It refuses to be robust: what a well-behaved daemon does not send ends it with an error.
package bridgetest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"

	"golang.org/x/sys/unix"
	"google.golang.org/protobuf/proto"

	"weft/internal/pb/bridgepb"
	"weft/jvmbridge/shm"
)

// RefusedError is the daemon's refusal.
type RefusedError struct{ Detail string }

func (e *RefusedError) Error() string { return "refused: " + e.Detail }

// Client is one session. Its methods may be called from many goroutines.
type Client struct {
	Welcome *bridgepb.Welcome

	frames      *net.UnixConn
	descriptors *net.UnixConn
	fds         chan int
	running     sync.WaitGroup
	done        chan struct{}
	err         error // valid when done is closed

	sendMu sync.Mutex

	gate sync.Mutex // held while paused

	mu       sync.Mutex
	segments map[uint32][]byte
	fetches  map[uint64]*Fetch
	last     uint64
	source   func(name string) Answer
	held     map[uint64][]byte
	inside   int // blocks that came inside a frame
}

// Encrypt is the bit of Hello's features for blocks that have to be encrypted between daemons.
const Encrypt uint64 = 1 << 1

// Hello is a valid Hello.
func Hello(app, executor string, dirs ...string) *bridgepb.Hello {
	return &bridgepb.Hello{
		Version: 1, AppId: app, AppToken: []byte(fmt.Sprintf("%-32s", "token of "+app))[:32], ExecutorId: executor, LocalDirs: dirs,
		SoftwareVersion: "bridgetest",
	}
}

// Dial opens a session with the daemon that listens at socket. The error may be a *RefusedError.
func Dial(socket string, hello *bridgepb.Hello) (*Client, error) {
	c := &Client{
		done: make(chan struct{}), fds: make(chan int, 1024),
		segments: map[uint32][]byte{}, fetches: map[uint64]*Fetch{}, held: map[uint64][]byte{},
		source: func(string) Answer { return Answer{} },
	}
	err := c.begin(socket, hello)
	if err != nil {
		c.closeSockets()
		return nil, err
	}
	c.running.Go(c.receiveFDs)
	c.running.Go(c.receive)
	return c, nil
}

func (c *Client) begin(socket string, hello *bridgepb.Hello) (err error) {
	addr := &net.UnixAddr{Name: socket, Net: "unix"}
	if c.frames, err = net.DialUnix("unix", nil, addr); err != nil {
		return err
	}
	if err := c.Send(&bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Hello{Hello: hello}}); err != nil {
		return err
	}
	first, err := c.read()
	if err != nil {
		return err
	}
	if refused := first.GetRefused(); refused != nil {
		return &RefusedError{refused.GetDetail()}
	}
	if c.Welcome = first.GetWelcome(); c.Welcome == nil {
		return fmt.Errorf("%T instead of Welcome", first.GetKind())
	}
	if c.descriptors, err = net.DialUnix("unix", nil, addr); err != nil {
		return err
	}
	attach := &bridgepb.Attach{SessionId: c.Welcome.GetSessionId(), AttachToken: c.Welcome.GetAttachToken()}
	if err := WriteFrame(c.descriptors, &bridgepb.ToDaemon{Kind: &bridgepb.ToDaemon_Attach{Attach: attach}}); err != nil {
		return err
	}
	second, err := c.read()
	if err == nil && second.GetAttached() == nil {
		err = fmt.Errorf("%T instead of Attached", second.GetKind())
	}
	return err
}

// WriteFrame writes one frame.
func WriteFrame(w io.Writer, m proto.Message) error {
	body, err := proto.Marshal(m)
	if err != nil {
		return err
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...))
	return err
}

// ReadFrame reads one frame.
func ReadFrame(r io.Reader, m proto.Message) error {
	head := make([]byte, 4)
	if _, err := io.ReadFull(r, head); err != nil {
		return err
	}
	body := make([]byte, binary.BigEndian.Uint32(head))
	if _, err := io.ReadFull(r, body); err != nil {
		return err
	}
	return proto.Unmarshal(body, m)
}

// Send sends any frame.
func (c *Client) Send(m *bridgepb.ToDaemon) error {
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	return WriteFrame(c.frames, m)
}

// SendBytes sends what need not be a frame.
func (c *Client) SendBytes(b []byte) error {
	c.sendMu.Lock()
	defer c.sendMu.Unlock()
	_, err := c.frames.Write(b)
	return err
}

// SendOnDescriptors sends bytes on the descriptor socket, where none belong.
func (c *Client) SendOnDescriptors(b []byte) error {
	_, err := c.descriptors.Write(b)
	return err
}

func (c *Client) read() (*bridgepb.ToJvm, error) {
	m := &bridgepb.ToJvm{}
	return m, ReadFrame(c.frames, m)
}

// Pause stops reading frames until Resume, as a JVM that stands still.
func (c *Client) Pause() { c.gate.Lock() }

// Resume ends Pause.
func (c *Client) Resume() { c.gate.Unlock() }

// Done is closed when the session has ended, by either side.
func (c *Client) Done() <-chan struct{} { return c.done }

// Err is why the session ended: io.EOF if the daemon closed it. Valid after Done.
func (c *Client) Err() error {
	<-c.done
	return c.err
}

func (c *Client) receive() {
	err := c.receiveAll()
	c.closeSockets()
	c.mu.Lock()
	c.err = err
	for _, f := range c.fetches {
		f.fail(err)
	}
	c.fetches = map[uint64]*Fetch{}
	c.mu.Unlock()
	close(c.done)
}

func (c *Client) receiveAll() error {
	for {
		m, err := c.read()
		c.gate.Lock()
		c.gate.Unlock() //nolint:staticcheck // waits while paused
		if err != nil {
			return err
		}
		if err := c.handle(m); err != nil {
			return err
		}
	}
}

func (c *Client) handle(m *bridgepb.ToJvm) error {
	switch kind := m.GetKind().(type) {
	case *bridgepb.ToJvm_AddSegment:
		return c.addSegment(kind.AddSegment)
	case *bridgepb.ToJvm_DropSegment:
		return c.dropSegment(kind.DropSegment.GetSegment())
	case *bridgepb.ToJvm_Delivered:
		return c.delivered(kind.Delivered)
	case *bridgepb.ToJvm_Failed:
		return c.failed(kind.Failed)
	case *bridgepb.ToJvm_OpenBlock:
		return c.open(kind.OpenBlock)
	case *bridgepb.ToJvm_CopyBlock:
		return c.copy(kind.CopyBlock)
	case *bridgepb.ToJvm_CloseBlock:
		return c.closeBlock(kind.CloseBlock.GetUpcallId())
	default:
		return fmt.Errorf("a frame that does not belong here: %T", kind)
	}
}

func (c *Client) receiveFDs() {
	defer close(c.fds)
	for {
		fd, err := shm.ReceiveFD(c.descriptors)
		if err != nil {
			return
		}
		c.fds <- fd
	}
}

func (c *Client) addSegment(m *bridgepb.AddSegment) error {
	fd, ok := <-c.fds
	if !ok {
		return errors.New("a segment without a descriptor")
	}
	defer unix.Close(fd)
	protection := unix.PROT_READ
	if m.GetKind() == bridgepb.SegmentKind_SEGMENT_UPCALL {
		protection |= unix.PROT_WRITE
	}
	mem, err := unix.Mmap(fd, 0, int(m.GetLength()), protection, unix.MAP_SHARED)
	if err != nil {
		return fmt.Errorf("map segment %d: %w", m.GetSegment(), err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.segments[m.GetSegment()] != nil {
		return fmt.Errorf("segment %d was added twice", m.GetSegment())
	}
	c.segments[m.GetSegment()] = mem
	return nil
}

func (c *Client) dropSegment(number uint32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	mem := c.segments[number]
	if mem == nil {
		return fmt.Errorf("segment %d was dropped and never added", number)
	}
	delete(c.segments, number)
	return unix.Munmap(mem)
}

// Segments is the number of segments that the client has mapped.
func (c *Client) Segments() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.segments)
}

// Inside is the number of blocks that came inside frames.
func (c *Client) Inside() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.inside
}

func (c *Client) slice(segment uint32, offset, length uint64) ([]byte, error) {
	mem := c.segments[segment]
	if end := offset + length; mem == nil || end < offset || end > uint64(len(mem)) {
		return nil, fmt.Errorf("bytes [%d, +%d) of segment %d are not there", offset, length, segment)
	}
	return mem[offset : offset+length : offset+length], nil
}

func (c *Client) closeSockets() {
	for _, conn := range []*net.UnixConn{c.frames, c.descriptors} {
		if conn != nil {
			_ = conn.Close()
		}
	}
}

// HangUp closes the sockets, as the end of the process does. What was delivered can be read until Close.
func (c *Client) HangUp() { c.closeSockets() }

// Close ends the session and the mappings: blocks that it delivered must not be read any more.
func (c *Client) Close() {
	c.closeSockets()
	c.running.Wait()
	for fd := range c.fds {
		_ = unix.Close(fd)
	}
	for number, mem := range c.segments {
		_ = unix.Munmap(mem)
		delete(c.segments, number)
	}
}
