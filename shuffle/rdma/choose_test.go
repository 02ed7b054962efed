package rdma

import (
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"weft/verbs"
)

// roce is a kernel with one RoCE port that has these addresses.
func roce(t *testing.T, state string, addrs ...string) verbs.Sys {
	t.Helper()
	root := t.TempDir()
	write := func(name, text string) {
		path := filepath.Join(root, "sys/class/infiniband/mlx5_0/ports/1", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("state", state)
	write("link_layer", "Ethernet")
	for i, a := range addrs {
		n := strconv.Itoa(i)
		addr := netip.MustParseAddr(a).As16()
		write("gids/"+n, netip.AddrFrom16(addr).StringExpanded())
		write("gid_attrs/types/"+n, "RoCE v2")
		write("gid_attrs/ndevs/"+n, "eth1")
	}
	return verbs.Sys(root)
}

func TestChoiceOfAnAddress(t *testing.T) {
	for _, tt := range []struct {
		addrs, networks, want string
	}{
		{"fe80::1 fd00::1 10.0.0.1 10.1.0.1", "", "10.0.0.1"},
		{"fe80::1 fd00::1", "", "fd00::1"},
		{"10.0.0.1 10.1.0.1", "10.1.0.0/16", "10.1.0.1"},
		{"10.0.0.1 fd00::1", "fd00::/8 10.0.0.0/8", "fd00::1"},
		{"10.0.0.1", "10.9.0.0/16", "10.0.0.1"}, // none is better than this
	} {
		c := Choice{Device: "auto", Sys: roce(t, "4: ACTIVE", strings.Fields(tt.addrs)...)}
		for _, p := range strings.Fields(tt.networks) {
			c.Networks = append(c.Networks, netip.MustParsePrefix(p))
		}
		if p, err := c.Choose(); err != nil || p.Addr != netip.MustParseAddr(tt.want) || p.NetDev != "eth1" {
			t.Errorf("of %s, with %q: %v, %v, want %s", tt.addrs, tt.networks, p.Addr, err, tt.want)
		}
	}
	for name, c := range map[string]Choice{
		"is DOWN":                 {Device: "auto", Sys: roce(t, "1: DOWN", "10.0.0.1")},
		"has no IP address":       {Device: "mlx5_0", Sys: roce(t, "4: ACTIVE", "fe80::1")},
		"there is no such device": {Device: "mlx5_1", Sys: roce(t, "4: ACTIVE", "10.0.0.1")},
	} {
		if _, err := c.Choose(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want %q", err, name)
		}
	}
}
