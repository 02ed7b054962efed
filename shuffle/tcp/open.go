package tcp

import (
	"errors"

	"weft/internal/metrics"
	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/auth"
)

// opening is one application on a bundle: opened on all connections, or on the way there.
type opening struct {
	id      uint64 // of the request on the first connection, by which the application is named there
	left    int    // connections that have not answered
	err     error
	waiting []func(uint64, error) // for the end; not used any more once it was reached
}

// has is the application's name on the first connection; false: it was not opened.
func (b *bundle) has(app shuffle.App) (id uint64, ok bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.apps[app]
	if o == nil || o.left != 0 {
		return 0, false
	}
	return o.id, true
}

// open opens the application on every connection: each side proves to the other that it has the secret, once. then is told the end, and what has
// would say, never by the goroutine inside open; who asks meanwhile shares it. After an error the next one tries again.
func (b *bundle) open(app shuffle.App, then func(id uint64, err error)) {
	b.mu.Lock()
	o := b.apps[app]
	if o != nil && o.left == 0 { // a moment ago
		b.late++
		go func() {
			defer b.arrive()
			then(o.id, nil)
		}()
		b.mu.Unlock()
		return
	}
	first := o == nil
	if first {
		o = &opening{left: len(b.conns)}
		b.apps[app] = o
	}
	o.waiting = append(o.waiting, then)
	b.mu.Unlock()
	if !first {
		return
	}
	for i, c := range b.conns {
		c.open(app, func(id uint64, err error) { b.opened(app, o, i, id, err) })
	}
}

// opened is the end on one connection.
func (b *bundle) opened(app shuffle.App, o *opening, conn int, id uint64, err error) {
	b.mu.Lock()
	if conn == 0 {
		o.id = id
	}
	if o.err == nil {
		o.err = err
	}
	var waiting []func(uint64, error)
	if o.left--; o.left == 0 {
		waiting, o.waiting, err = o.waiting, nil, o.err
		if err != nil {
			delete(b.apps, app)
		}
	}
	b.mu.Unlock()
	for _, then := range waiting {
		then(o.id, err)
	}
}

// open is that of one connection. Requests leave in the order of their ids.
func (c *conn) open(app shuffle.App, done func(id uint64, err error)) {
	if app.Encrypted && c.wire.tls == nil {
		c.of.refuse(&op{opened: done}, shuffle.Errorf(shuffle.ReasonEncrypted,
			"application %s is not opened on a connection without TLS; this is a bug of weft", clip(app.ID)))
		return
	}
	c.opens.Lock()
	defer c.opens.Unlock()
	id, ok := c.begin(&op{app: &app, opened: done})
	if !ok {
		return
	}
	m := &peerpb.Open{Id: id, AppId: app.ID, Proof: auth.Prove(app.Token, auth.Dialler, c.binding, id, app.ID)}
	if err := c.send(&peerpb.Request{Kind: &peerpb.Request_Open{Open: m}}, 128); err != nil {
		c.withdraw(id, shuffle.Errorf(shuffle.ReasonInternal, "open application %s: %v", clip(app.ID), err))
	}
}

// receiveOpened checks the owner's proof. A wrong one ends the connection.
func (c *conn) receiveOpened(m *peerpb.Opened) error {
	o, err := c.op(m.GetId(), isOpen)
	if err != nil {
		return err
	}
	c.finish(m.GetId(), o)
	switch {
	case m.GetReason() != 0:
		o.opened(0, &shuffle.BlockError{Reason: shuffle.Reason(m.GetReason()), Detail: m.GetError()})
		return nil
	case auth.Check(m.GetProof(), o.app.Token, auth.Listener, c.binding, m.GetId(), o.app.ID):
		c.of.metrics.PeerProofs(metrics.OK).Inc()
		o.opened(m.GetId(), nil)
		return nil
	}
	c.of.metrics.PeerProofs(metrics.Failed).Inc()
	refused := shuffle.Errorf(shuffle.ReasonPeerRefused, "who answers there does not prove to have the secret of application %s: "+
		"it is not the owner's daemon, or something on the way changes what the daemons say", clip(o.app.ID))
	o.opened(0, refused)
	return errors.New(refused.Detail) // to the other applications it is the connection's end, no answer
}
