package tcp

import (
	"net"
	"net/netip"

	"weft/internal/pb/peerpb"
	"weft/shuffle"
)

// Hello is what a peer said of itself when it was dialled. Nothing of it is proven.
type Hello struct {
	Addr     netip.AddrPort // where it was reached
	DaemonID [16]byte
	Version  string // of its software
	Features uint64 // of proto/peer.proto
}

func helloOf(m *peerpb.Hello, w *wire) Hello {
	h := Hello{Addr: w.sock.RemoteAddr().(*net.TCPAddr).AddrPort(), Version: m.GetSoftwareVersion(), Features: m.GetFeatures()} //nolint:forcetypeassert // the network is tcp
	copy(h.DaemonID[:], m.GetDaemonId())
	return h
}

// Direct tells whether the peer's blocks can be read without its processor.
func (h Hello) Direct() bool { return h.Features&featureDirect != 0 }

// Unknown is the features that this side has never heard of.
func (h Hello) Unknown() uint64 { return h.Features &^ featureDirect }

// HelloOf is what the peer said at the other end of a connection of this transport.
func HelloOf(c shuffle.Conn) Hello { return c.(*bundle).conns[0].hello } //nolint:forcetypeassert // as documented
