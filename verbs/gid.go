package verbs

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sort"
	"strconv"
)

// GID is an entry of a port's table: an address of the port, and how it is reached.
type GID struct {
	Index  int
	Addr   netip.Addr // of RoCE over IPv4 an IPv4 address; of InfiniBand the subnet prefix and the port's GUID
	Type   string     // "IB/RoCE v1", "RoCE v2"
	NetDev string     // "": none
}

// GIDs lists the used entries of a port's table, by index.
func (s Sys) GIDs(device string, port int) ([]GID, error) {
	dir := s.port(device, port)
	entries, err := os.ReadDir(filepath.Join(dir, "gids"))
	if err != nil {
		return nil, fmt.Errorf("GIDs of %s port %d: %w", device, port, err)
	}
	var all []GID
	for _, e := range entries {
		index, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		addr, err := netip.ParseAddr(line(filepath.Join(dir, "gids", e.Name())))
		if err != nil || addr.IsUnspecified() {
			continue // unused, as most are
		}
		kind := line(filepath.Join(dir, "gid_attrs/types", e.Name()))
		all = append(all, GID{index, addr.Unmap(), kind, line(filepath.Join(dir, "gid_attrs/ndevs", e.Name()))})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Index < all[j].Index })
	return all, nil
}
