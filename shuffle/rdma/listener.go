package rdma

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"weft/verbs"
)

// Token is what a reader shows to be let in: random, good for one connection. It goes over the authenticated control connection, and
// so from nobody else.
type Token [32]byte

// tokenLife is how long a token is good. A reader connects at once.
const tokenLife = time.Minute

// Listener lets readers connect that show a token. What they read is up to the domain that the token stands for.
type Listener struct {
	device *Device
	cm     *verbs.CMChannel
	id     *verbs.CMID
	addr   netip.AddrPort
	life   time.Duration // of a token
	ended  chan struct{}

	mu     sync.Mutex
	tokens map[Token]offer
	conns  map[*verbs.CMID]*served
}

// offer is what a token is good for.
type offer struct {
	pd    *verbs.PD
	until time.Time
}

// served is a reader's connection.
type served struct {
	id    *verbs.CMID
	qp    *verbs.QP
	pd    *verbs.PD
	token Token
}

// Listen listens at an address of the device; port 0: a free one.
func (d *Device) Listen(addr netip.AddrPort) (*Listener, error) {
	if err := d.comp.reserve(0); err != nil {
		return nil, err
	}
	l := &Listener{device: d, life: tokenLife, ended: make(chan struct{}), tokens: map[Token]offer{}, conns: map[*verbs.CMID]*served{}}
	err := l.open(addr)
	if err != nil {
		return nil, errors.Join(err, l.release())
	}
	l.addr = l.id.LocalAddr()
	go l.run()
	return l, nil
}

func (l *Listener) open(addr netip.AddrPort) (err error) {
	if l.cm, err = verbs.NewCMChannel(); err != nil {
		return err
	}
	if l.id, err = l.cm.NewID(); err != nil {
		return err
	}
	if err = l.id.Bind(addr); err != nil {
		return err
	}
	return l.id.Listen(backlog)
}

// backlog is how many readers may be connecting at once; the others try again.
const backlog = 128

// Addr is where it listens.
func (l *Listener) Addr() netip.AddrPort { return l.addr }

// Offer is a token for one reader of the domain's memory. It fails where nobody is let in any more.
func (l *Listener) Offer(pd *verbs.PD) (Token, error) {
	var t Token
	if closed(l.ended) {
		return t, errNotListening
	}
	_, _ = rand.Read(t[:]) // never fails
	now := time.Now()
	l.mu.Lock()
	defer l.mu.Unlock()
	for old, o := range l.tokens {
		if now.After(o.until) {
			delete(l.tokens, old)
		}
	}
	l.tokens[t] = offer{pd, now.Add(l.life)}
	return t, nil
}

// redeem sets the domain that the reader's token stands for; false: it is good for nothing. mu is held.
func (l *Listener) redeem(s *served, private []byte) bool {
	if copy(s.token[:], private) < len(s.token) {
		return false
	}
	o, ok := l.tokens[s.token]
	delete(l.tokens, s.token)
	s.pd = o.pd
	return ok && time.Now().Before(o.until)
}

// Readers is how many connections there are.
func (l *Listener) Readers() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}

// Expel ends the connections of readers of the domain, and makes its tokens good for nothing. When it returns, nobody reads its memory.
func (l *Listener) Expel(pd *verbs.PD) {
	l.end(func(_ Token, of *verbs.PD) bool { return of == pd })
}

// Withdraw makes a token good for nothing, and ends the connection that was made by it. For when the control connection ends that the token went
// over: a reader whose host vanished is heard of there, and nowhere else, since this side sends it nothing.
func (l *Listener) Withdraw(token Token) {
	l.end(func(t Token, _ *verbs.PD) bool { return t == token })
}

func (l *Listener) end(which func(Token, *verbs.PD) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for t, o := range l.tokens {
		if which(t, o.pd) {
			delete(l.tokens, t)
		}
	}
	for _, s := range l.conns {
		if which(s.token, s.pd) {
			l.drop(s)
		}
	}
}

func (l *Listener) run() {
	defer close(l.ended)
	log := l.device.opts.Log.With("device", l.device.ctx.Name())
	for {
		e, err := l.cm.Next(time.Time{})
		if err != nil {
			if !errors.Is(err, verbs.ErrClosed) {
				log.Error("no RDMA connections are accepted any more; peers use TCP", "err", err)
			}
			return
		}
		switch e.Type {
		case verbs.CMConnectRequest:
			peer := e.New.PeerAddr() // before welcome, which closes what it refuses
			switch err := l.welcome(e); {
			case errors.Is(err, errToken): // anybody may try
				log.Debug("somebody's RDMA connection was not accepted", "peer", peer, "err", err)
			case err != nil:
				log.Warn("a peer's RDMA connection was not accepted; it uses TCP", "peer", peer, "err", err)
			}
		case verbs.CMEstablished, verbs.CMTimewaitExit:
		default:
			l.mu.Lock()
			if s := l.conns[e.ID]; s != nil {
				l.drop(s)
			}
			l.mu.Unlock()
		}
	}
}

var errNotListening = errors.New("rdma: no connections are accepted any more")

var errToken = errors.New("its token is unknown, used, or too old")

// welcome accepts a connection, or refuses it.
func (l *Listener) welcome(e *verbs.CMEvent) (err error) {
	s := &served{id: e.New}
	l.mu.Lock() // all the while, so that nobody slips past Expel
	defer l.mu.Unlock()
	defer func() {
		if err != nil {
			_ = s.id.Reject([]byte(err.Error()))
			_ = s.close()
		}
	}()
	if !l.redeem(s, e.PrivateData) {
		return errToken
	}
	if l.readers(s.pd) >= maxReaders {
		return fmt.Errorf("%d readers of the application's memory are connected already", maxReaders)
	}
	d := l.device
	if s.id.DeviceName() != d.ctx.Name() {
		return errors.New("it came by another device, " + s.id.DeviceName())
	}
	// The device answers READs by itself: no request of this side is ever posted, and none completes.
	if s.qp, err = s.id.CreateQP(verbs.QPConfig{PD: s.pd, SendCQ: d.comp.cq, RecvCQ: d.comp.cq, SendWRs: 1, RecvWRs: 1, SendSGEs: 1}); err != nil {
		return err
	}
	if err := s.id.SetAckTimeout(d.opts.AckTimeout); err != nil {
		d.opts.Log.Debug("no time-out for acknowledgements", "err", err)
	}
	if err := s.id.Accept(verbs.ConnParam{ResponderResources: min(e.ResponderResources, d.depth), RNRRetries: rnrRetries}); err != nil {
		return err
	}
	l.conns[s.id] = s
	return nil
}

// maxReaders is how many connections readers of one domain may have: devices make tens of thousands, and a reader's node takes one.
const maxReaders = 4096

// readers is how many there are of a domain. mu is held.
func (l *Listener) readers(pd *verbs.PD) (n int) {
	for _, s := range l.conns {
		if s.pd == pd {
			n++
		}
	}
	return n
}

// drop ends a reader's connection. mu is held.
func (l *Listener) drop(s *served) {
	delete(l.conns, s.id)
	_ = s.id.Disconnect() // fails where the peer did
	if err := s.close(); err != nil {
		l.device.opts.Log.Error("an RDMA connection was not given back", "err", err)
	}
}

func (s *served) close() error {
	var err error
	if s.qp != nil {
		err = s.qp.Close()
	}
	return errors.Join(err, s.id.Close())
}

// Close ends all readers' connections. When it returns, nobody reads this side's memory.
func (l *Listener) Close() error {
	err := l.cm.Interrupt()
	<-l.ended
	l.mu.Lock()
	for _, s := range l.conns {
		l.drop(s)
	}
	l.mu.Unlock()
	return errors.Join(err, l.release())
}

func (l *Listener) release() error {
	var errs []error
	if l.id != nil {
		errs = append(errs, l.id.Close())
	}
	if l.cm != nil {
		errs = append(errs, l.cm.Close())
	}
	l.device.comp.giveBack(0)
	return errors.Join(errs...)
}
