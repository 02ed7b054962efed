package tcp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"weft/internal/metrics"
	"weft/shuffle"
)

// Limits of a server.
const (
	maxConns   = 1 << 16          // connections at a time; a cluster has a group of up to 17 for each of its other nodes
	maxLocates = 256              // requests of one application being resolved at a time for one peer
	maxEager   = 1 << 20          // bytes of eager blocks in one answer
	handleIdle = 5 * time.Minute  // a block that nobody reads is held open for so long
	greeting   = 10 * time.Second // a connection says hello within this time
)

// Server answers peers with the blocks of a Source.
type Server struct {
	opts     Options
	listener *net.TCPListener
	src      shuffle.Source
	metrics  *metrics.Set
	identity identity
	ctx      context.Context // ends with Close: requests being resolved end then
	cancel   context.CancelFunc
	tasks    sync.WaitGroup

	mu     sync.Mutex
	conns  map[*server]struct{}
	most   int // of them
	groups *groups
	closed bool
}

// NewServer returns a server on a listener, which it owns from now on. Serve has to be called for anything to be answered.
func NewServer(l *net.TCPListener, opts Options, src shuffle.Source, m *metrics.Set) *Server {
	s := &Server{
		opts: opts.withDefaults(), listener: l, src: src, metrics: m, identity: newIdentity(),
		conns: make(map[*server]struct{}), most: maxConns, groups: newGroups(m),
	}
	if s.opts.MaxConns > 0 {
		s.most = min(s.most, s.opts.MaxConns)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Addr is where the server listens.
func (s *Server) Addr() netip.AddrPort {
	return s.listener.Addr().(*net.TCPAddr).AddrPort() //nolint:forcetypeassert // a TCP listener
}

// Serve accepts connections until Close. It returns nil.
func (s *Server) Serve() error {
	var pause time.Duration
	for {
		sock, err := s.listener.AcceptTCP()
		if err == nil {
			pause = 0
			s.welcome(sock)
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second) // out of descriptors, most likely: others may go
		s.opts.Log.Warn("a peer's connection could not be accepted; trying again", "err", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-s.ctx.Done():
		}
	}
}

// welcome serves a new connection on a goroutine of its own.
func (s *Server) welcome(sock *net.TCPConn) {
	c := newServer(s, sock)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = sock.Close()
		return
	}
	if len(s.conns) >= s.most {
		stranger := s.stranger()
		if stranger == nil {
			c.log.Warn("a peer was refused: too many connections", "connections", len(s.conns))
			_ = sock.Close()
			return
		}
		delete(s.conns, stranger) // Close has not to end it again
		stranger.end(errStranger)
	}
	s.conns[c] = struct{}{}
	s.tasks.Go(func() {
		c.run()
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.conns, c)
	})
}

var errStranger = fmt.Errorf("it has opened no application, and others want to connect: %w", errClosed)

// stranger is the connection that was accepted first of those over which no application was opened, the probe aside; nil: there is none. A peer
// opens one as soon as it is connected. mu is held.
func (s *Server) stranger() (oldest *server) {
	for c := range s.conns {
		if (oldest == nil || c.since.Before(oldest.since)) && !c.opened.any() {
			oldest = c
		}
	}
	return oldest
}

// Conns is how many connections peers have opened, several each.
func (s *Server) Conns() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

// Close ends the listener and all connections. It returns when no block is used any more.
func (s *Server) Close() error {
	err := s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for c := range s.conns {
		c.end(errClosed)
	}
	s.mu.Unlock()
	s.cancel()
	s.tasks.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
