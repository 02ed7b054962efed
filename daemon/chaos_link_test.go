package daemon

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// link is a cable between two daemons: a listener that passes on to the peer port of one what another sends, until it is broken.
type link struct {
	l       *net.TCPListener
	running sync.WaitGroup

	mu      sync.Mutex
	changed sync.Cond
	target  string
	wires   map[*wire]struct{}
	closed  bool
	counts  linkCounts

	torn    int  // bytes that still pass towards the reader before all wires are cut; -1: no matter how many
	stalled bool // nothing passes
	slow    bool // little passes
	refuse  int  // that many connections are closed as soon as they come
}

// linkCounts are how often something happened.
type linkCounts struct {
	torn, held, slowed, refused, lost int
}

// wire is one connection.
type wire struct {
	reader, owner *net.TCPConn
	hole          bool // what is sent is lost; guarded by link.mu
}

func newLink() (*link, error) {
	l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: loopback.AsSlice()})
	if err != nil {
		return nil, err
	}
	k := &link{l: l, wires: map[*wire]struct{}{}, torn: -1}
	k.changed.L = &k.mu
	k.running.Go(k.accept)
	return k, nil
}

func (k *link) port() uint16 { return uint16(k.l.Addr().(*net.TCPAddr).Port) }

func (k *link) accept() {
	for {
		conn, err := k.l.AcceptTCP()
		if err != nil {
			return
		}
		k.running.Go(func() { k.connect(conn) })
	}
}

func (k *link) connect(reader *net.TCPConn) {
	k.mu.Lock()
	target := k.target
	refused := k.refuse > 0
	if refused {
		k.refuse--
		k.counts.refused++
	}
	k.mu.Unlock()
	owner, err := net.Dial("tcp", target)
	if err != nil || refused {
		reset(reader)
		if err == nil {
			reset(owner.(*net.TCPConn))
		}
		return
	}
	w := &wire{reader: reader, owner: owner.(*net.TCPConn)}
	k.mu.Lock()
	if k.closed {
		k.mu.Unlock()
		w.cut()
		return
	}
	k.wires[w] = struct{}{}
	k.mu.Unlock()
	k.running.Go(func() { k.pass(w, w.reader, w.owner, false) })
	k.pass(w, w.owner, w.reader, true)
}

// pass copies one direction until an end closes it or the wire is cut; then both ends are closed.
func (k *link) pass(w *wire, from, to *net.TCPConn, toReader bool) {
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if errors.Is(err, io.EOF) {
			_ = to.CloseWrite()
		}
		if err != nil {
			break
		}
		if n = k.admit(w, n, toReader); n < 0 {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			break
		}
	}
	w.cut()
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.wires, w)
	k.changed.Broadcast()
}

// admit tells how many of n bytes pass, when they may; -1: they are lost.
func (k *link) admit(w *wire, n int, toReader bool) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	for k.stalled && !k.closed {
		k.counts.held++
		k.changed.Broadcast()
		k.changed.Wait()
	}
	if k.slow && !k.closed {
		k.counts.slowed++
		k.changed.Broadcast()
		k.mu.Unlock()
		time.Sleep(time.Duration(n) * time.Microsecond) // 1 MB/s in each direction of each wire
		k.mu.Lock()
	}
	if w.hole {
		k.counts.lost++
		return -1
	}
	if toReader && k.torn >= 0 {
		if n < k.torn {
			k.torn -= n
			return n
		}
		n, k.torn = k.torn, -1
		k.counts.torn++
		k.changed.Broadcast()
		time.AfterFunc(time.Millisecond, func() { k.cut() }) // the last bytes are to arrive as a rule; either is right
	}
	return n
}

// cut resets all connections and tells how many there were.
func (k *link) cut() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	for w := range k.wires {
		w.cut()
	}
	return len(k.wires)
}

// hangUp ends the owner's side of all connections without a reset.
func (k *link) hangUp() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	for w := range k.wires {
		_ = w.reader.CloseWrite()
	}
	return len(k.wires)
}

// swallow loses from now on all that is sent over the connections there are. What tells whether one of them is left.
func (k *link) swallow() (left func() bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var holes []*wire
	for w := range k.wires {
		w.hole = true
		holes = append(holes, w)
	}
	return func() bool {
		k.mu.Lock()
		defer k.mu.Unlock()
		for _, w := range holes {
			if _, there := k.wires[w]; there {
				return true
			}
		}
		return false
	}
}

// set changes what happens to bytes and connections from now on.
func (k *link) set(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
	k.changed.Broadcast()
}

func (k *link) counted() linkCounts {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.counts
}

// close ends everything and waits for it.
func (k *link) close() {
	_ = k.l.Close()
	k.set(func() { k.closed = true })
	k.cut()
	k.running.Wait()
}

func (w *wire) cut() {
	reset(w.reader)
	reset(w.owner)
}

func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	_ = c.Close()
}
