package jvmbridge

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/mempool"
	"weft/shuffle/quota"
)

// Fetcher fetches blocks from peers; shuffle.Fetcher is it.
type Fetcher interface {
	// Fetch begins a request and returns at once. Everything that sink gets for it has come soon after ctx was cancelled; leases
	// whose memory a transport may still write to go back later.
	Fetch(ctx context.Context, req *shuffle.FetchRequest, sink shuffle.Sink)
}

// Options are what a Server needs to know. Sizes are bytes.
type Options struct {
	DaemonID        [16]byte
	PeerAddresses   []string // to announce; none: Spark's host name
	PeerPort        uint16
	SoftwareVersion string
	RDMADevice      string // that blocks move by; "": none
	RDMASoftware    bool   // that it is no hardware

	SessionBytes int64         // receive arena of one session (weft.memory.session)
	UpcallBytes  int64         // upcall arena of one session (weft.memory.upcall)
	RegionBytes  int64         // weft.memory.region
	MemoryWait   time.Duration // an upcall's wait for memory (weft.memory.wait)
	Checksum     bool          // executors are to compute those of the blocks that they copy (weft.checksum)

	// Join, unless nil, begins a session's use of a device that the memory of its arenas is registered with. An error means that the session does
	// without.
	Join func(app shuffle.App) (Membership, error)

	Quotas Quotas

	HandshakeTimeout time.Duration // for Hello, and then for Attach; 0: 10 s
	OnSessions       func(open int)
}

// Quotas divide what a Server has among applications. A nil pool has no bound.
type Quotas struct {
	Sessions *quota.Pool
	Fetches  *quota.Pool // blocks that were asked for and have not ended, and fetchCost for each request
	Inline   *quota.Pool // bytes of small blocks that executors sent, while peers read them
}

// Membership is a session's use of a device.
type Membership struct {
	Receive, Upcall mempool.Registrar
	Leave           func() // called once, when the arenas are closed and nothing is left that outlives the executor; memory that is leased still is given back later
}

const defaultHandshakeTimeout = 10 * time.Second

// Server accepts the executors of this host.
type Server struct {
	opts     Options
	registry *shuffle.Registry
	fetcher  Fetcher
	budget   *mempool.Budget
	metrics  *metrics.Set
	log      *slog.Logger

	mu        sync.Mutex
	closed    bool
	greeting  map[uint32][]*net.UnixConn // that have not said what they are, by user, oldest first
	listeners map[net.Listener]struct{}
	conns     map[*net.UnixConn]struct{} // not yet part of a session
	sessions  map[uint64]*session
	lastID    uint64
	running   sync.WaitGroup // connections and sessions
}

// NewServer makes a server that listens nowhere yet. budget bounds the memory of all sessions.
func NewServer(opts Options, registry *shuffle.Registry, fetcher Fetcher, budget *mempool.Budget, m *metrics.Set, log *slog.Logger) *Server {
	if opts.HandshakeTimeout == 0 {
		opts.HandshakeTimeout = defaultHandshakeTimeout
	}
	if opts.OnSessions == nil {
		opts.OnSessions = func(int) {}
	}
	return &Server{
		opts: opts, registry: registry, fetcher: fetcher, budget: budget, metrics: m, log: log,
		listeners: map[net.Listener]struct{}{},
		greeting:  map[uint32][]*net.UnixConn{},
		conns:     map[*net.UnixConn]struct{}{},
		sessions:  map[uint64]*session{},
	}
}

// Serve accepts connections until Close, when it returns nil, or until l fails for good. It closes l.
func (s *Server) Serve(l *net.UnixListener) error {
	defer l.Close()
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.listeners[l] = struct{}{}
	s.mu.Unlock()
	for {
		conn, err := l.AcceptUnix()
		switch {
		case err == nil:
			s.begin(conn)
		case s.isClosed():
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default: // too many open files, mostly
			s.log.Error("an executor could not connect; raise the limit of open files if this repeats", "error", err)
			time.Sleep(50 * time.Millisecond)
		}
	}
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

func (s *Server) begin(conn *net.UnixConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		_ = conn.Close()
		return
	}
	s.conns[conn] = struct{}{}
	s.running.Go(func() {
		defer conn.Close()
		s.greet(conn)
	})
}

// adopt makes a connection a session's, which closes it.
func (s *Server) adopt(conn *net.UnixConn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, conn)
}

// Close ends the listeners and all sessions, and waits until nothing of them runs any more. Regions of which a transport has not
// given all leases back go when it does.
func (s *Server) Close() error {
	s.registry.Ending()
	s.mu.Lock()
	s.closed = true
	for l := range s.listeners {
		_ = l.Close()
	}
	for conn := range s.conns {
		_ = conn.Close()
	}
	sessions := make([]*session, 0, len(s.sessions))
	for _, ses := range s.sessions {
		sessions = append(sessions, ses)
	}
	s.mu.Unlock()
	for _, ses := range sessions {
		ses.end(errServerClosed)
	}
	s.running.Wait()
	return nil
}

// add makes ses known and gives it a number; false when the server was closed meanwhile.
func (s *Server) add(ses *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.lastID++
	ses.id = s.lastID
	s.sessions[ses.id] = ses
	s.metrics.Sessions.Inc()
	s.metrics.SessionsTotal.Inc()
	s.opts.OnSessions(len(s.sessions))
	return true
}

func (s *Server) remove(ses *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, ses.id)
	s.opts.Quotas.Sessions.Give(ses.app.ID, 1)
	s.metrics.Sessions.Dec()
	s.opts.OnSessions(len(s.sessions))
}

// SessionStatus is what `weft status` shows of a session.
type SessionStatus struct {
	ID              uint64
	App, Executor   string
	UID             uint32
	PID             int32
	Version         string // of the executor's software
	Began           time.Time
	Fetches         int // requests not yet ended
	Receive, Upcall ArenaStatus
}

// ArenaStatus is one arena of a session.
type ArenaStatus struct {
	Max int64
	mempool.Usage
}

// Sessions lists the open sessions, oldest first.
func (s *Server) Sessions() []SessionStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]SessionStatus, 0, len(s.sessions))
	for _, ses := range s.sessions {
		all = append(all, ses.status())
	}
	slices.SortFunc(all, func(a, b SessionStatus) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

var daemonUID = uint32(os.Getuid())
