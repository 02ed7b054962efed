package tcp

import (
	"errors"
	"fmt"
	"sync"

	"weft/internal/metrics"
	"weft/internal/pb/peerpb"
	"weft/shuffle"
	"weft/shuffle/auth"
	"weft/shuffle/serve"
)

// maxApps is how many applications are opened on a connection. One that has served so many is made anew: they come and go.
const maxApps = 1 << 12

var errMaxApps = fmt.Errorf("%d applications were opened over it; it is to be made anew", maxApps)

// opened is the applications of one connection, on the answering side.
type opened struct {
	last uint64 // id of the last Open; of the reading goroutine

	mu     sync.RWMutex
	apps   map[uint64]*group // by the id of the Open
	tables map[uint64]*group // by number
}

// table is that of a handle; nil: of no application that was opened here.
func (o *opened) table(handle uint64) *serve.Table {
	o.mu.RLock()
	defer o.mu.RUnlock()
	if g := o.tables[handle>>serve.TableBits]; g != nil {
		return g.Table
	}
	return nil
}

// any tells whether an application was opened, other than the daemons' own.
func (o *opened) any() bool {
	o.mu.RLock()
	defer o.mu.RUnlock()
	for _, g := range o.tables {
		if g.key.app.ID != shuffle.ProbeApp.ID {
			return true
		}
	}
	return false
}

// release gives up handles of any of the applications.
func (o *opened) release(handles []uint64) {
	for len(handles) > 0 {
		n := 1
		for n < len(handles) && handles[n]>>serve.TableBits == handles[0]>>serve.TableBits {
			n++
		}
		if t := o.table(handles[0]); t != nil {
			t.Release(handles[:n])
		}
		handles = handles[n:]
	}
}

// all is every table.
func (o *opened) all() []*group {
	o.mu.RLock()
	defer o.mu.RUnlock()
	all := make([]*group, 0, len(o.tables))
	for _, g := range o.tables {
		all = append(all, g)
	}
	return all
}

// serveOpen lets the peer have an application's blocks over this connection, if it proves to have the application's secret, and proves
// the same to it. An error ends the connection.
func (c *server) serveOpen(m *peerpb.Open) error {
	id := m.GetId()
	if id <= c.opened.last {
		c.metrics.PeerProofs(metrics.Failed).Inc()
		return fmt.Errorf("request %d to open application %s after request %d: something repeats what a peer says, or changes its order",
			id, clip(m.GetAppId()), c.opened.last)
	}
	c.opened.last = id
	answer := &peerpb.Opened{Id: id}
	app, err := c.admit(m)
	if err == nil {
		if err = c.enter(id, app); errors.Is(err, errMaxApps) {
			return err
		}
	}
	if err == nil {
		if app.ID != shuffle.ProbeApp.ID { // whose secret everybody has
			c.in.most = maxMessage
		}
		answer.Proof = auth.Prove(app.Token, auth.Listener, c.binding, id, app.ID)
	} else {
		be := shuffle.ToBlockError(err)
		answer.Reason, answer.Error = uint32(be.Reason), clip(be.Detail)
	}
	return c.sendMessage(&peerpb.Response{Kind: &peerpb.Response_Opened{Opened: answer}})
}

// admit is the application that the peer has proved to have the secret of.
func (c *server) admit(m *peerpb.Open) (shuffle.App, error) {
	app, err := c.src.App(m.GetAppId())
	if err != nil {
		return app, err
	}
	if app.Encrypted && c.wire.tls == nil {
		c.metrics.PeerProofs(metrics.Failed).Inc()
		err = shuffle.Errorf(shuffle.ReasonEncrypted, "the blocks of application %s cross the network under TLS alone, and the reader's daemon asks "+
			"for them without: it is not told that, or something on the way takes the encryption away", clip(app.ID))
		c.unproven.Do(func() { c.log.Warn("a peer was refused an application's blocks", "app", app.ID, "err", err) })
		return app, err
	}
	if auth.Check(m.GetProof(), app.Token, auth.Dialler, c.binding, m.GetId(), app.ID) {
		c.metrics.PeerProofs(metrics.OK).Inc()
		return app, nil
	}
	c.metrics.PeerProofs(metrics.Failed).Inc()
	err = shuffle.Errorf(shuffle.ReasonPeerRefused, "the reader's daemon does not prove to have the secret of application %s: "+
		"it has another one, or something on the way changes what the daemons say", clip(app.ID))
	c.unproven.Do(func() { c.log.Warn("a peer was refused an application's blocks", "app", app.ID, "err", err) })
	return app, err
}

// enter makes the application's blocks accessible over this connection.
func (c *server) enter(id uint64, app shuffle.App) error {
	o := &c.opened
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.apps) >= maxApps {
		return errMaxApps
	}
	if o.apps == nil {
		o.apps, o.tables = make(map[uint64]*group), make(map[uint64]*group)
	}
	for _, g := range o.tables {
		if g.key.app == app { // again, because another connection of the group could not
			o.apps[id] = g
			return nil
		}
	}
	if !c.opts.Quotas.Conns.Take(app.ID, 1) {
		return shuffle.Errorf(shuffle.ReasonNoSpace, "the application has as many connections here as its share (weft.app.share) allows")
	}
	g := c.groups.join(c.group, app, c.wire.name())
	o.apps[id], o.tables[g.number] = g, g
	return nil
}

// app is the application that was opened by that request.
func (c *server) app(open uint64) (*group, error) {
	c.opened.mu.RLock()
	defer c.opened.mu.RUnlock()
	if g := c.opened.apps[open]; g != nil {
		return g, nil
	}
	c.metrics.PeerProofs(metrics.Failed).Inc()
	return nil, fmt.Errorf("a request for blocks of an application that was not opened (by request %d): its secret has to be proved first", open)
}
