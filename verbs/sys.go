package verbs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
)

// Sys is what the kernel says about RDMA in /sys, whether or not this process may open the devices, and without a library: the directory
// that has this /sys, "" for the machine's own.
type Sys string

func (s Sys) class(name string) string { return filepath.Join(string(s)+"/sys/class", name) }

func (s Sys) port(device string, port int) string {
	return filepath.Join(s.class("infiniband"), device, "ports", strconv.Itoa(port))
}

// DeviceNames lists the devices, sorted.
func (s Sys) DeviceNames() ([]string, error) { return entries(s.class("infiniband")) }

// entries are the names in a directory, sorted; none where it is not there.
func entries(dir string) ([]string, error) {
	all, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil // no RDMA in this kernel
	}
	var names []string
	for _, e := range all {
		names = append(names, e.Name())
	}
	return names, err
}

// SysPort is a port's state as in /sys. The MTU is not there: a device has to be asked (Context.Port).
type SysPort struct {
	Number    int
	State     string // "ACTIVE", "DOWN", ...
	LinkLayer string // "Ethernet" (RoCE), "InfiniBand"
	Rate      string // "100 Gb/sec (4X EDR)"
}

// Active tells whether packets go through the port.
func (p SysPort) Active() bool { return p.State == "ACTIVE" }

// Ports lists a device's ports, the first first.
func (s Sys) Ports(device string) ([]SysPort, error) {
	names, err := entries(filepath.Dir(s.port(device, 0)))
	if err != nil {
		return nil, fmt.Errorf("ports of %s: %w", device, err)
	}
	var all []SysPort
	for _, name := range names {
		n, err := strconv.Atoi(name)
		if err != nil {
			continue
		}
		dir := s.port(device, n)
		_, state, _ := strings.Cut(line(filepath.Join(dir, "state")), ": ") // "4: ACTIVE"
		all = append(all, SysPort{n, state, line(filepath.Join(dir, "link_layer")), line(filepath.Join(dir, "rate"))})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].Number < all[j].Number })
	return all, nil
}

// NetDevs lists the network interfaces whose IP addresses lead to a device's port: librdmacm finds devices by IP address.
func (s Sys) NetDevs(device string, port int) ([]string, error) {
	if name := line(filepath.Join(s.port(device, port), "gid_attrs/ndevs/0")); name != "" {
		return []string{name}, nil // RoCE
	}
	dir := filepath.Join(s.class("infiniband"), device, "device/net")
	names, err := entries(dir)
	var all []string
	for _, name := range names {
		if n, err := strconv.Atoi(line(filepath.Join(dir, name, "dev_port"))); err == nil && n == port-1 {
			all = append(all, name)
		}
	}
	return all, err
}

// NetMTU is the MTU of a network interface; 0 where it is not known.
func (s Sys) NetMTU(netdev string) int {
	n, _ := strconv.Atoi(line(filepath.Join(s.class("net"), netdev, "mtu")))
	return n
}

// Software tells whether a device is one that the kernel makes out of a network interface (soft-RoCE, soft-iWARP): moving blocks by it costs
// processor time, and its times tell nothing of hardware. A renamed device is found out, too.
func (s Sys) Software(device string) bool {
	dir := filepath.Join(s.class("infiniband"), device)
	if _, err := os.Stat(filepath.Join(dir, "device")); errors.Is(err, os.ErrNotExist) {
		return true // no bus has it
	}
	if _, err := os.Stat(filepath.Join(dir, "parent")); err == nil {
		return true // rxe names its interface there; old kernels give it the bus of that
	}
	return strings.HasPrefix(line(filepath.Join(dir, "node_desc")), "Software iWARP")
}

// Node is the name of the device's file in /dev/infiniband: "uverbs0"; "" where it has none.
func (s Sys) Node(device string) string {
	names, _ := entries(s.class("infiniband_verbs"))
	for _, name := range names {
		if line(filepath.Join(s.class("infiniband_verbs"), name, "ibdev")) == device {
			return name
		}
	}
	return ""
}

func line(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
