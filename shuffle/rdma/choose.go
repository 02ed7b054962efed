package rdma

import (
	"errors"
	"fmt"
	"net"
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

// Choice says which port is wanted.
type Choice struct {
	Device   string         // its name, or "auto"
	Networks []netip.Prefix // an address in an earlier one is better; then IPv4 is
	Sys      verbs.Sys
}

// Choose finds the port that blocks go through: the first usable one of the device, of all devices for "auto", in the best network. It asks the kernel alone, so no
// library need be there. Where none is usable, the error has a line for each port that is not.
func (c Choice) Choose() (Port, error) {
	names, err := c.Sys.DeviceNames()
	if err != nil {
		return Port{}, err
	}
	var best Port
	var why []error
	for _, name := range names {
		if c.Device != "auto" && c.Device != name {
			continue
		}
		ports, err := c.Sys.Ports(name)
		if err != nil {
			why = append(why, err)
		}
		for _, p := range ports {
			usable, err := c.examine(name, p)
			switch {
			case err != nil:
				why = append(why, fmt.Errorf("port %d of %s %w", p.Number, name, err))
			case !best.Addr.IsValid() || c.rank(usable.Addr) < c.rank(best.Addr):
				best = usable
			}
		}
	}
	if best.Addr.IsValid() {
		return best, nil
	}
	if why == nil {
		return Port{}, errors.New("there is no such device")
	}
	return Port{}, errors.Join(why...)
}

func (c Choice) examine(device string, state verbs.SysPort) (Port, error) {
	if !state.Active() {
		return Port{}, fmt.Errorf("is %s", state.State)
	}
	p := Port{Device: device, SysPort: state}
	var err error
	if state.LinkLayer == "InfiniBand" {
		err = c.findNetDev(&p)
	} else {
		err = c.findGID(&p)
	}
	if err != nil {
		return Port{}, err
	}
	if !p.Addr.IsValid() {
		return Port{}, errors.New("has no IP address")
	}
	p.NetMTU = c.Sys.NetMTU(p.NetDev)
	return p, nil
}

// findGID looks in a RoCE port's table, which has the addresses of its interface. RoCE v2 goes through routers and is what the connection manager
// takes.
func (c Choice) findGID(p *Port) error {
	gids, err := c.Sys.GIDs(p.Device, p.Number)
	for _, g := range gids {
		if g.Type == "RoCE v2" && c.better(g.Addr, p.Addr) {
			p.Addr, p.NetDev, p.GID = g.Addr, g.NetDev, &g
		}
	}
	return err
}

// findNetDev looks at the interface over an InfiniBand port: its GIDs are no IP addresses.
func (c Choice) findNetDev(p *Port) error {
	netdevs, err := c.Sys.NetDevs(p.Device, p.Number)
	for _, netdev := range netdevs {
		all, addrsErr := addresses(netdev)
		err = errors.Join(err, addrsErr)
		for _, a := range all {
			if c.better(a, p.Addr) {
				p.Addr, p.NetDev = a, netdev
			}
		}
	}
	return err
}

// rank is the number of the network that an address lies in.
func (c Choice) rank(a netip.Addr) int {
	for i, p := range c.Networks {
		if p.Contains(a) {
			return i
		}
	}
	return len(c.Networks)
}

// better tells whether an address is to be taken instead of the one there is; a link-local one never is.
func (c Choice) better(a, than netip.Addr) bool {
	switch {
	case a.IsLinkLocalUnicast():
		return false
	case !than.IsValid():
		return true
	case c.rank(a) != c.rank(than):
		return c.rank(a) < c.rank(than)
	default:
		return a.Is4() && !than.Is4()
	}
}

// addresses are those of a network interface of this machine.
func addresses(netdev string) (all []netip.Addr, err error) {
	ifc, err := net.InterfaceByName(netdev)
	if err != nil {
		return nil, err
	}
	addrs, err := ifc.Addrs()
	for _, a := range addrs {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil {
			all = append(all, prefix.Addr().Unmap())
		}
	}
	return all, err
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
