package shuffle

import (
	"bytes"
	"cmp"
	"slices"
)

// PeerStatus is what `weft status` shows of a peer.
type PeerStatus struct {
	Addr      PeerAddr
	Transport string
}

// moves is the word for how blocks move over the connection now.
func (l *link) moves() string {
	if d, ok := l.Conn.(interface{ Direct() string }); ok && d.Direct() != "" {
		return d.Direct()
	}
	return l.transport
}

// direct tells whether both sides have a way by which blocks are read out of the owner's memory (Direct), though it may not be up now: what comes with answers
// never brings it up.
func (l *link) direct() bool {
	d, ok := l.Conn.(interface{ HasDirect() bool })
	return ok && d.HasDirect()
}

// Status lists the connections that may be asked over, ordered by the peers' ids and their transports.
func (p *Peers) Status() []PeerStatus {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []PeerStatus
	for _, e := range p.peers {
		if l := e.link; l != nil && !ended(l) {
			all = append(all, PeerStatus{Addr: l.addr, Transport: l.moves()})
		}
	}
	slices.SortFunc(all, func(a, b PeerStatus) int {
		return cmp.Or(bytes.Compare(a.Addr.DaemonID[:], b.Addr.DaemonID[:]), cmp.Compare(a.Transport, b.Transport))
	})
	return all
}
