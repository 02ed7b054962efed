package options

import (
	"errors"
	"fmt"
	"net"
	"path/filepath"
)

// maxSocketPath is what sun_path holds on Linux, less the terminating zero.
const maxSocketPath = 107

// longestSocket is the longest name of a socket in the directory.
const longestSocket = "weft-v1.sock"

// Validate lists every conflict between options, one line each, saying what to change.
func (o *Options) Validate() error {
	var errs []error
	fail := func(broken bool, format string, args ...any) {
		if broken {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	atMost := func(key string, n int64, limitKey string, limit int64) {
		fail(n > limit, "%s is %s, more than %s (%s): lower the first or raise the second",
			key, FormatSize(n), limitKey, FormatSize(limit))
	}

	fail(!filepath.IsAbs(o.SocketDir), "weft.socket.dir %q is not an absolute path", o.SocketDir)
	path := filepath.Join(o.SocketDir, longestSocket)
	fail(len(path) > maxSocketPath, "weft.socket.dir is too long: %s has %d bytes, a socket's path may have %d", path, len(path), maxSocketPath)

	fail(o.NetBind.IsValid() && !o.NetBind.IsUnspecified() && len(o.NetCIDR) > 0 && !o.inCIDR(),
		"weft.net.bind %s lies in none of the networks of weft.net.cidr: peers would be told an address that nobody listens on", o.NetBind)

	fail(o.MemoryRegion < page || o.MemoryRegion%page != 0, "weft.memory.region is %s, not a multiple of 4k", FormatSize(o.MemoryRegion))
	fail(o.MemoryRegion > MaxRegion, "weft.memory.region is %s, more than 1g, the most that one segment may have", FormatSize(o.MemoryRegion))
	atMost("weft.memory.region", o.MemoryRegion, "weft.memory.session", o.MemorySession)
	atMost("weft.memory.region", o.MemoryRegion, "weft.memory.upcall", o.MemoryUpcall)
	atMost("weft.memory.session", o.MemorySession, "weft.memory.max", o.MemoryMax)
	atMost("weft.memory.upcall", o.MemoryUpcall, "weft.memory.max", o.MemoryMax)

	fail(o.AppShare < 1 || o.AppShare > 100, "weft.app.share is %d, not 1 to 100 percent", o.AppShare)

	atMost("weft.fetch.piece", o.FetchPiece, "weft.app.share of weft.memory.max", o.share())
	atMost("weft.fetch.eager.max", o.FetchEagerMax, "weft.app.share of weft.memory.max", o.share())

	fail(o.FetchPiece < page, "weft.fetch.piece is %s, less than 4k", FormatSize(o.FetchPiece))
	atMost("weft.fetch.piece", o.FetchPiece, "weft.memory.region", o.MemoryRegion)
	atMost("weft.fetch.eager.max", o.FetchEagerMax, "weft.memory.region", o.MemoryRegion)
	atMost("weft.fetch.eager.block", o.FetchEagerBlock, "weft.fetch.eager.max", o.FetchEagerMax)

	fail(o.TCPStreams < 1 || o.TCPStreams > 16, "weft.tcp.streams is %d, not 1 to 16", o.TCPStreams)

	fail(o.RDMADevice == "", "weft.rdma.device is empty: want auto, none or a device's name")

	fail(o.RDMAMap != "auto" && o.RDMAMap != "read" && o.RDMAMap != "none", "weft.rdma.map is %q: want auto, read or none", o.RDMAMap)

	fail(o.PeerConnectTimeout == 0, "weft.peer.connect.timeout is 0: no peer could be connected to")
	fail(o.PeerTimeout == 0, "weft.peer.timeout is 0: every peer would count as lost")

	if o.MetricsAddress != "" {
		_, _, err := net.SplitHostPort(o.MetricsAddress)
		fail(err != nil, "weft.metrics.address %q is not host:port", o.MetricsAddress)
	}
	return errors.Join(errs...)
}

func (o *Options) inCIDR() bool {
	for _, p := range o.NetCIDR {
		if p.Contains(o.NetBind.Unmap()) {
			return true
		}
	}
	return false
}
