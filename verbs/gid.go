package verbs

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// GID is an entry of a port's table: an address of the port, and how it is reached.
type GID struct {
	Index  int
	Addr   netip.Addr // of RoCE over IPv4 an IPv4 address; of InfiniBand the subnet prefix and the port's GUID
	Type   string     // "IB/RoCE v1", "RoCE v2"
	NetDev string     // "": none
}

const sysClass = "/sys/class/infiniband"

// DeviceNames lists the RDMA devices that the kernel has, whether or not this process may open them; sorted. It needs no library.
func DeviceNames() ([]string, error) { return deviceNames(sysClass) }

func deviceNames(class string) ([]string, error) {
	entries, err := os.ReadDir(class)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // no RDMA in this kernel
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}

// GIDs lists the used entries of a port's table, by index. It needs no library.
func GIDs(device string, port int) ([]GID, error) { return gids(sysClass, device, port) }

func gids(class, device string, port int) ([]GID, error) {
	dir := filepath.Join(class, device, "ports", strconv.Itoa(port))
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

func line(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// NetDevs are the network devices whose IP addresses lead to a port: librdmacm finds devices by IP address. It needs no library.
func NetDevs(device string, port int) []string { return netDevs(sysClass, device, port) }

func netDevs(class, device string, port int) (names []string) {
	if name := line(filepath.Join(class, device, "ports", strconv.Itoa(port), "gid_attrs/ndevs/0")); name != "" {
		return []string{name} // RoCE
	}
	entries, _ := os.ReadDir(filepath.Join(class, device, "device/net")) // InfiniBand: IPoIB's
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
