package rdma

import (
	"errors"
	"fmt"
	"net/netip"

	"weft/verbs"
)

// Port is a port that blocks can go through: it is active and has an IP address, which the connection manager finds it by.
type Port struct {
	Device string
	verbs.SysPort
	Addr   netip.Addr
	NetDev string // the network interface that has the address
	GID    *verbs.GID
	NetMTU int
}

// Choose finds the port that blocks go through: the first usable one of the device, of all devices for "auto". It asks the kernel alone, so no
// library need be there. addrs lists a network interface's addresses. Where none is usable, the error has a line for each port that is not.
func Choose(sys verbs.Sys, device string, addrs func(netdev string) ([]netip.Addr, error)) (Port, error) {
	names, err := sys.DeviceNames()
	if err != nil {
		return Port{}, err
	}
	var why []error
	for _, name := range names {
		if device != "auto" && device != name {
			continue
		}
		ports, err := sys.Ports(name)
		if err != nil {
			return Port{}, err
		}
		for _, p := range ports {
			usable, err := examine(sys, name, p, addrs)
			if err == nil {
				return usable, nil
			}
			why = append(why, fmt.Errorf("port %d of %s %w", p.Number, name, err))
		}
	}
	if why == nil {
		return Port{}, errors.New("there is no such device")
	}
	return Port{}, errors.Join(why...)
}

func examine(sys verbs.Sys, device string, state verbs.SysPort, addrs func(netdev string) ([]netip.Addr, error)) (Port, error) {
	if !state.Active() {
		return Port{}, fmt.Errorf("is %s", state.State)
	}
	p := Port{Device: device, SysPort: state}
	var err error
	if state.LinkLayer == "InfiniBand" {
		err = p.findNetDev(sys, addrs)
	} else {
		err = p.findGID(sys)
	}
	if err != nil {
		return Port{}, err
	}
	if !p.Addr.IsValid() {
		return Port{}, errors.New("has no IP address")
	}
	p.NetMTU = sys.NetMTU(p.NetDev)
	return p, nil
}

// findGID looks in a RoCE port's table, which has the addresses of its interface. RoCE v2 goes through routers and is what the connection manager
// takes.
func (p *Port) findGID(sys verbs.Sys) error {
	gids, err := sys.GIDs(p.Device, p.Number)
	for _, g := range gids {
		if g.Type == "RoCE v2" && better(g.Addr, p.Addr) {
			p.Addr, p.NetDev, p.GID = g.Addr, g.NetDev, &g
		}
	}
	return err
}

// findNetDev looks at the interface over an InfiniBand port: its GIDs are no IP addresses.
func (p *Port) findNetDev(sys verbs.Sys, addrs func(netdev string) ([]netip.Addr, error)) error {
	netdevs, err := sys.NetDevs(p.Device, p.Number)
	for _, netdev := range netdevs {
		all, addrsErr := addrs(netdev)
		err = errors.Join(err, addrsErr)
		for _, a := range all {
			if better(a, p.Addr) {
				p.Addr, p.NetDev = a, netdev
			}
		}
	}
	return err
}

// better tells whether an address is to be taken instead of the one there is: any but link-local ones, and IPv4 before IPv6.
func better(a, than netip.Addr) bool {
	return !a.IsLinkLocalUnicast() && (!than.IsValid() || a.Is4() && !than.Is4())
}

// PathMTU is what a RoCE packet can carry: the largest of RDMA's sizes that leaves room for the headers in a frame of the interface, as the
// kernel reckons (iboe_get_mtu). 0 for InfiniBand, whose subnet manager says it.
func (p Port) PathMTU() int {
	const headers = 40 + 8 + 12 + 4 + 28 + 4
	if p.LinkLayer == "InfiniBand" {
		return 0
	}
	mtu := 4096
	for mtu > 256 && mtu > p.NetMTU-headers {
		mtu /= 2
	}
	return mtu
}
