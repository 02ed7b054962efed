package doctor

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"

	"weft/shuffle/rdma"
)

// ofPort makes a check of the port that the daemon would take; where there is none, rdmaDevice says why, and no other check.
func ofPort(check func(*machine, rdma.Port) Result) func(*machine, context.Context) Result {
	return func(m *machine, _ context.Context) Result {
		if !m.wants() {
			return m.notWanted()
		}
		port, err := m.port()
		if err != nil {
			return ok("no device to look at")
		}
		return check(m, port)
	}
}

func (m *machine) rdmaDevice(context.Context) Result {
	if !m.wants() {
		return m.notWanted()
	}
	if names, err := m.sys().DeviceNames(); len(names) == 0 && err == nil && m.opts.RDMADevice == "auto" {
		return ok("no device to look at")
	}
	port, err := m.port()
	if err != nil {
		return m.without("bring the port up, give its network interface an IP address, or name another device by weft.rdma.device",
			"none can be used of weft.rdma.device=%s: %s", m.opts.RDMADevice, strings.ReplaceAll(err.Error(), "\n", ", "))
	}
	if m.opts.RDMADevice == "auto" {
		return ok("%s, the first with an active port that has an IP address", port.Device)
	}
	return ok("%s, which weft.rdma.device names", port.Device)
}

func (m *machine) rdmaPort(p rdma.Port) Result {
	kind := p.LinkLayer
	if kind == "Ethernet" {
		kind = "Ethernet (RoCE)"
	}
	return ok("port %d of %s is %s, %s, %s", p.Number, p.Device, p.State, kind, p.Rate)
}

func (m *machine) rdmaAddress(p rdma.Port) Result {
	switch {
	case p.GID == nil:
		return ok("%s, that of %s, the interface of the port", p.Addr, p.NetDev)
	case p.Addr.Is4():
		return ok("%s of %s, GID %d, the first of RoCE v2 with an IPv4 address", p.Addr, p.NetDev, p.GID.Index)
	}
	return ok("%s of %s, GID %d, the first of RoCE v2 with an IP address; none has an IPv4 one", p.Addr, p.NetDev, p.GID.Index)
}

// fullMTU is the most that a packet of RDMA carries, and frameMTU what an interface's frames need for it.
const fullMTU, frameMTU = 4096, 4200

func (m *machine) rdmaMTU(p rdma.Port) Result {
	path := p.PathMTU()
	switch {
	case path == 0:
		return ok("as the subnet manager says; the interface %s has %d", p.NetDev, p.NetMTU)
	case p.NetMTU == 0:
		return warn("look at `ip link show`", "the MTU of %s is not known", p.NetDev)
	case path < fullMTU:
		r := warn("", "packets carry %d bytes of %d, since %s has an MTU of %d", path, fullMTU, p.NetDev, p.NetMTU)
		r.Todo = "`ip link set " + p.NetDev + " mtu 9000` (4200 is enough) on all hosts and in the switches between them"
		return r
	}
	return ok("packets carry %d bytes; %s has an MTU of %d", path, p.NetDev, p.NetMTU)
}

// rdmaNodes looks at the files by which a process gets at a device.
func (m *machine) rdmaNodes(p rdma.Port) Result {
	names := []string{"rdma_cm"}
	if node := m.sys().Node(p.Device); node != "" {
		names = append(names, node)
	} else {
		return m.without("modprobe ib_uverbs", "the kernel has no file for %s", p.Device)
	}
	for _, name := range names {
		path := "/dev/infiniband/" + name
		err := unix.Access(m.root+path, unix.R_OK|unix.W_OK)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return m.without("modprobe rdma_ucm ib_uverbs; to a container give the directory (--device=/dev/infiniband)", "%s is absent", path)
		case err != nil:
			return m.without("let the daemon's user read and write it (a udev rule, or its group)", "%s: %v", path, err)
		}
	}
	return ok("/dev/infiniband/%s can be opened", strings.Join(names, " and "))
}
