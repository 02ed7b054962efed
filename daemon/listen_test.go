package daemon

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"weft/internal/options"
)

var loopback = netip.MustParseAddr("127.0.0.1")

func TestListenPeersTakesTheFirstFreePort(t *testing.T) {
	taken, err := ListenPeers(t.Context(), loopback, options.PortRange{})
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := uint16(taken.Addr().(*net.TCPAddr).Port)
	if _, err := ListenPeers(t.Context(), loopback, options.PortRange{Low: port, High: port}); err == nil ||
		!strings.Contains(err.Error(), "widen weft.net.port") {
		t.Errorf("only a taken port: %v", err)
	}
	if port > 65000 {
		return // no room above; the kernel's range ends well below
	}
	next, err := ListenPeers(t.Context(), loopback, options.PortRange{Low: port, High: port + 500})
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if got := uint16(next.Addr().(*net.TCPAddr).Port); got <= port || got > port+500 {
		t.Errorf("port %d, the range begins with the taken %d", got, port)
	}
}

func TestListenPeersSaysWhichOptionIsWrong(t *testing.T) {
	if _, err := ListenPeers(t.Context(), netip.MustParseAddr("203.0.113.1"), options.PortRange{}); err == nil ||
		!strings.Contains(err.Error(), "weft.net.bind") {
		t.Errorf("an address that is not ours: %v", err)
	}
}

func TestAnnounced(t *testing.T) {
	none := netip.Addr{}
	lo := netip.MustParsePrefix("127.0.0.0/8")
	for _, c := range []struct {
		name     string
		bind     netip.Addr
		networks []netip.Prefix
		want     []netip.Addr
	}{
		{"nothing configured", none, nil, nil},
		{"every address", netip.IPv4Unspecified(), nil, nil},
		{"a specific address", loopback, nil, []netip.Addr{loopback}},
		{"a network, named twice", none, []netip.Prefix{lo, lo}, []netip.Addr{loopback}},
		{"both", loopback, []netip.Prefix{lo}, []netip.Addr{loopback}},
	} {
		got, err := Announced(c.bind, c.networks)
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
	if _, err := Announced(none, []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}); err == nil ||
		!strings.Contains(err.Error(), "correct weft.net.cidr") {
		t.Errorf("no address there: %v", err)
	}
}
