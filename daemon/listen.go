package daemon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"

	"weft/internal/options"
)

// listenUnix replaces what a dead daemon left under this name; the lock is held, so no living one has it. Only a bridge socket is shared
// with the group of the directory.
func (d *socketDir) listenUnix(name string, shared bool) (*net.UnixListener, error) {
	path := filepath.Join(d.path, name)
	info, err := os.Lstat(path)
	switch {
	case err == nil && info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s is in the way and not a socket: remove it", path)
	case err == nil:
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("stale socket: %w", err)
		}
	case !errors.Is(err, fs.ErrNotExist):
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening in the socket directory: %w", err)
	}
	mode := fs.FileMode(0o600)
	if shared && d.shared {
		mode, err = 0o660, os.Lchown(path, -1, d.gid)
	}
	if err = errors.Join(err, os.Chmod(path, mode)); err != nil {
		return nil, errors.Join(fmt.Errorf("socket %s: %w", path, err), l.Close())
	}
	return l, nil
}

// ListenPeers takes the first free port of the range.
func ListenPeers(ctx context.Context, bind netip.Addr, ports options.PortRange) (*net.TCPListener, error) {
	host := ""
	if bind.IsValid() {
		host = bind.String()
	}
	var lc net.ListenConfig
	for port := int(ports.Low); port <= int(ports.High); port++ {
		l, err := lc.Listen(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		switch {
		case err == nil:
			return l.(*net.TCPListener), nil
		case !errors.Is(err, unix.EADDRINUSE):
			return nil, fmt.Errorf("listening for peers: %w (see weft.net.bind and weft.net.port)", err)
		}
	}
	return nil, fmt.Errorf("listening for peers: no free port in %d-%d: widen weft.net.port", ports.Low, ports.High)
}

// Announced lists the addresses to tell peers: those of this machine's interfaces that are up and lie inside the networks, in
// the networks' order; else the bind address, if it is a specific one; else none.
func Announced(bind netip.Addr, networks []netip.Prefix) ([]netip.Addr, error) {
	specific := bind.IsValid() && !bind.IsUnspecified()
	if len(networks) == 0 || specific {
		if specific {
			return []netip.Addr{bind}, nil
		}
		return nil, nil
	}
	own, err := interfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("addresses of this machine: %w", err)
	}
	var found []netip.Addr
	for _, network := range networks {
		for _, addr := range own {
			if network.Contains(addr) && !slices.Contains(found, addr) {
				found = append(found, addr)
			}
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no address of this machine lies in %v: correct weft.net.cidr, or leave it empty", networks)
	}
	return found, nil
}

func interfaceAddrs() ([]netip.Addr, error) {
	interfaces, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var all []netip.Addr
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			return nil, err
		}
		for _, a := range addrs {
			n, ok := a.(*net.IPNet)
			if !ok {
				continue
			}
			if addr, ok := netip.AddrFromSlice(n.IP); ok && !addr.IsLinkLocalUnicast() {
				all = append(all, addr.Unmap())
			}
		}
	}
	return all, nil
}
