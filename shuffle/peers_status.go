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
