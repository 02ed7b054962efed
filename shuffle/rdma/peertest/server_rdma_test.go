//go:build rdma

package peertest

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"os"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/rdma"
	"weft/shuffle/tcp"
)

// Beside what serves orders, the owner has what a daemon has: a server of blocks, which can be read by RDMA.

const serverPort = 7472

var (
	theApp   = shuffle.App{ID: "app"}
	serverID = [16]byte{9}
)

// oneFile is a Source of one block: bytes that every owner has.
type oneFile struct {
	file *os.File
	crc  uint32
}

func (s oneFile) App(string) (shuffle.App, error) { return theApp, nil }

func (oneFile) Ask(context.Context, *shuffle.LocateRequest, func([]shuffle.Found)) bool { return false }

func (s oneFile) Locate(_ context.Context, req *shuffle.LocateRequest) ([]shuffle.Found, error) {
	found := make([]shuffle.Found, len(req.Blocks))
	for i := range found {
		found[i] = shuffle.Found{Length: ownerBytes, CRC: s.crc, Checked: true, File: s.file}
	}
	return found, nil
}

// serveBlocks serves until the process ends.
func serveBlocks(host netip.Addr) error {
	m := metrics.NewSet()
	node, err := rdma.Open(rdma.NodeOptions{Options: rdma.Options{Log: slog.Default()}, Device: "auto", Registered: 1 << 30, Map: rdma.MapAuto, Metrics: m})
	if err != nil {
		return err
	}
	if _, err := node.Join(theApp); err != nil {
		return err
	}
	src := oneFile{crc: shuffle.Checksum(sourceBytes())}
	if src.file, err = os.CreateTemp("", "block"); err != nil {
		return err
	}
	if _, err := src.file.Write(sourceBytes()); err != nil {
		return err
	}
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(host, serverPort)))
	if err != nil {
		return err
	}
	server := tcp.NewServer(l, tcp.Options{DaemonID: serverID, Direct: node, Metrics: m, Log: slog.Default()}, src, m)
	go func() { slog.Error("owner", "err", server.Serve()) }()
	return nil
}
