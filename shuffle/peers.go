package shuffle

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"weft/internal/metrics"
	"weft/shuffle/quota"
)

// PeersOptions say how peers are reached.
type PeersOptions struct {
	DaemonID   [16]byte    // of this daemon: blocks of its own executors do not leave it
	Former     [][16]byte  // of daemons before it whose map outputs it serves on: they are it, too
	Local      Transport   // to the own daemon, package mem
	Transports []Transport // to others, in the order in which they are tried
	Encrypted  []Transport // the same, for applications whose blocks have to be encrypted: each does that

	ConnectTimeout time.Duration // for one attempt with one transport
	Retry          time.Duration // how long a peer that no transport reached is not tried again; 0: one second
	Most           *quota.Pool   // peers that are known, by the application that was first to ask; nil: no bound
	Backoff        time.Duration // how long a transport that failed for a peer is left out while others work; 0: one minute
}

// Peers keeps one connection to each peer that blocks were fetched from, and another one where some of these have to be encrypted. Its methods may be called from many goroutines.
type Peers struct {
	opts    PeersOptions
	metrics *metrics.Set
	log     *slog.Logger

	mu     sync.Mutex
	peers  map[string]*peer // by key
	closed bool
	ctx    context.Context // ends with Close: dials end then
	cancel context.CancelFunc
	tasks  sync.WaitGroup // dials and watches; grows only while mu is held and not closed
}

// peer is what is known of one daemon, as it is reached by some transports.
type peer struct {
	app        string // whose share it is of
	transports []Transport

	dialling chan struct{} // closed when the attempt under way ended; nil when there is none
	link     *link         // nil: not connected
	err      error         // of the last attempt
	failed   time.Time     // when that was
	avoid    map[string]time.Time
}

// link is a connection, to where, and the name of its transport.
type link struct {
	Conn
	addr      PeerAddr
	transport string
}

// direct tells whether both sides have a way by which blocks are read out of the owner's memory (Direct), though it may not be up now: what comes with answers
// never brings it up.
func (l *link) direct() bool {
	d, ok := l.Conn.(interface{ HasDirect() bool })
	return ok && d.HasDirect()
}

var errAnyPeer = Errorf(ReasonInternal, "a daemon's id is needed; this is a bug of the client")

var errPeersClosed = Errorf(ReasonPeerUnreachable, "this daemon is stopping")

var errManyPeers = Errorf(ReasonPeerUnreachable, "the application has named as many peers as its share (weft.app.share) of the connections allows; "+
	"raise the limit of open files (LimitNOFILE)")

// NewPeers returns a cache without connections. Close ends them.
func NewPeers(opts PeersOptions, m *metrics.Set, log *slog.Logger) *Peers {
	if opts.ConnectTimeout <= 0 {
		opts.ConnectTimeout = 3 * time.Second
	}
	if opts.Retry <= 0 {
		opts.Retry = time.Second
	}
	if opts.Backoff <= 0 {
		opts.Backoff = time.Minute
	}
	p := &Peers{opts: opts, metrics: m, log: log, peers: make(map[string]*peer)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// get is, for an application, the connection to the peer at addr: the one there is or, after an attempt that all who ask meanwhile share, a new one. Where it
// has to be encrypted, no other one will do. It waits until ctx ends, at most for the given time (0: as long as the attempt takes). Its errors are BlockErrors or
// the cause of ctx's end.
func (p *Peers) get(ctx context.Context, app App, addr PeerAddr, limit time.Duration) (*link, error) {
	var late <-chan time.Time
	for {
		l, wait, err := p.look(app, addr)
		if wait == nil {
			return l, err
		}
		if late == nil && limit > 0 {
			timer := time.NewTimer(limit)
			defer timer.Stop()
			late = timer.C
		}
		select {
		case <-wait:
		case <-late:
			return nil, Errorf(ReasonTimeout, "no connection to the peer's daemon at %v port %d within %v", addr.Hosts, addr.Port, limit)
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// linked is the connection there is; nil: none is.
func (p *Peers) linked(app App, addr PeerAddr) *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.peers[p.key(app, addr)]; !p.closed && e != nil && e.link != nil && !ended(e.link) {
		return e.link
	}
	return nil
}

// key tells peers apart. The addresses are part of it: an executor names them, and one that lies about where a daemon listens must
// neither lead another application's requests, and with them its token, elsewhere nor make the daemon unreachable for it.
func (a PeerAddr) key() string {
	return fmt.Sprintf("%x %d %q", a.DaemonID, a.Port, a.Hosts)
}

// key is that of peers. This daemon is reached without an address.
func (p *Peers) key(app App, addr PeerAddr) string {
	switch {
	case p.isOwn(addr):
		return ""
	case app.Encrypted:
		return "encrypted " + addr.key()
	default:
		return addr.key()
	}
}

// look is the connection there is, the error of an attempt made lately, or what to wait for: the end of an attempt under way.
func (p *Peers) look(app App, addr PeerAddr) (*link, <-chan struct{}, error) {
	key, transports := p.key(app, addr), p.opts.Transports
	if app.Encrypted {
		transports = p.opts.Encrypted
	}
	if key != "" && addr.DaemonID == [16]byte{} {
		return nil, nil, errAnyPeer
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, nil, errPeersClosed
	}
	e := p.peers[key]
	if e == nil {
		p.forget()
		if key != "" && !p.opts.Most.Take(app.ID, 1) {
			return nil, nil, errManyPeers
		}
		e = &peer{app: app.ID, transports: transports, avoid: make(map[string]time.Time)}
		p.peers[key] = e
	}
	switch {
	case e.link != nil && !ended(e.link):
		return e.link, nil, nil
	case e.dialling != nil:
	case e.err != nil && time.Since(e.failed) < p.opts.Retry:
		return nil, nil, e.err
	default:
		e.dialling = make(chan struct{})
		p.tasks.Go(func() { p.dial(e, addr) })
	}
	return nil, e.dialling, nil
}

func (p *Peers) isOwn(addr PeerAddr) bool {
	return addr.DaemonID == p.opts.DaemonID || slices.Contains(p.opts.Former, addr.DaemonID)
}

// forget drops the peers that were not reached for some time: a daemon that was started anew is another peer. mu is held.
func (p *Peers) forget() {
	for id, e := range p.peers {
		if e.link == nil && e.dialling == nil && time.Since(e.failed) > p.opts.Backoff {
			delete(p.peers, id)
			if id != "" {
				p.opts.Most.Give(e.app, 1)
			}
		}
	}
}

// dial makes one attempt to connect to e, with one transport after the other.
func (p *Peers) dial(e *peer, addr PeerAddr) {
	l, err := p.connect(e, addr)
	p.mu.Lock()
	defer p.mu.Unlock()
	close(e.dialling)
	e.dialling, e.link, e.err, e.failed = nil, l, err, time.Now()
	if l != nil {
		p.metrics.Peers(l.transport).Inc()
		p.tasks.Go(func() { p.watch(e, l) })
	}
}

func (p *Peers) connect(e *peer, addr PeerAddr) (*link, error) {
	if p.isOwn(addr) {
		return p.try(p.opts.Local, addr)
	}
	var errs []error
	for _, t := range p.order(e) {
		l, err := p.try(t, addr)
		p.note(e, t, err)
		if err == nil {
			return l, nil
		}
		p.log.Warn("a transport does not reach a peer; its blocks go another way",
			"transport", t.Name(), "peer", hex.EncodeToString(addr.DaemonID[:4]), "hosts", addr.Hosts, "port", addr.Port, "err", err)
		errs = append(errs, err)
	}
	err := errors.Join(errs...)
	reason := ReasonPeerUnreachable
	var be *BlockError
	if errors.As(err, &be) {
		reason = be.Reason
	}
	return nil, Errorf(reason, "no connection to the peer's daemon at %v port %d: %v", addr.Hosts, addr.Port, err)
}

func (p *Peers) try(t Transport, addr PeerAddr) (*link, error) {
	ctx, cancel := context.WithTimeout(p.ctx, p.opts.ConnectTimeout)
	defer cancel()
	c, err := t.Dial(ctx, addr)
	result := metrics.OK
	if err != nil {
		result = metrics.Failed
	}
	p.metrics.PeerDials(t.Name(), result).Inc()
	if err != nil {
		return nil, err
	}
	return &link{Conn: c, addr: addr, transport: t.Name()}, nil
}

// order is the transports to try: those that failed lately come last.
func (p *Peers) order(e *peer) []Transport {
	p.mu.Lock()
	defer p.mu.Unlock()
	var good, bad []Transport
	for _, t := range e.transports {
		if until, ok := e.avoid[t.Name()]; ok && time.Now().Before(until) {
			bad = append(bad, t)
		} else {
			good = append(good, t)
		}
	}
	return append(good, bad...)
}

// note remembers how a transport did at e.
func (p *Peers) note(e *peer, t Transport, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err == nil {
		delete(e.avoid, t.Name())
	} else {
		e.avoid[t.Name()] = time.Now().Add(p.opts.Backoff)
	}
}

// watch closes a connection that broke, or any at the end, and forgets it.
func (p *Peers) watch(e *peer, l *link) {
	select {
	case <-l.Closed():
		p.metrics.PeerLosses(l.transport).Inc()
	case <-p.ctx.Done():
	}
	p.mu.Lock()
	if e.link == l {
		e.link = nil
	}
	e.avoid[l.transport] = time.Now().Add(p.opts.Backoff)
	p.mu.Unlock()
	_ = l.Close()
	p.metrics.Peers(l.transport).Dec()
}

// Close ends all connections, so that every operation on them is done when it returns.
func (p *Peers) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.cancel()
	p.tasks.Wait()
}

func ended(c Conn) bool {
	select {
	case <-c.Closed():
		return true
	default:
		return false
	}
}
