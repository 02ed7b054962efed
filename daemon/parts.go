package daemon

import (
	"context"
	"fmt"
	"net"

	"weft/internal/version"
	"weft/jvmbridge"
	"weft/shuffle"
	"weft/shuffle/mem"
	"weft/shuffle/mempool"
	"weft/shuffle/tcp"
)

// startParts composes what moves blocks. The order is that of use, so that closing backwards is safe: first the executors go, which
// cancels their fetches; then the connections to peers, after which nothing writes to leased memory any more; then those of peers.
func (d *daemon) startParts(dir *socketDir, peers *net.TCPListener) error {
	d.startQuotas()
	d.budget = mempool.NewBudgetOf(d.quotas.memory)
	d.opened("memory", d.checkMemory)
	d.startDevice()
	left, err := openKept(dir)
	if err != nil {
		return err
	}
	registry := shuffle.RegistryOptions{
		FilesMax: d.opts.FilesMax, SkipChecksums: !d.opts.Checksum, Keeping: d.keeping(left), Quotas: d.quotas.ofRegistry(&d.opts),
	}
	if d.device != nil {
		registry.Closing = d.device.Forget
	}
	d.registry = shuffle.NewRegistry(registry, d.metrics, d.log)
	d.opened("kept map outputs", func(context.Context) error { d.registry.Close(); return nil })
	d.takeOver(left)
	service := shuffle.NewService(d.registry)

	wire := tcp.Options{
		DaemonID: d.info.DaemonID, Former: d.former, PeerTimeout: d.opts.PeerTimeout, Streams: d.opts.TCPStreams, Log: d.log,
		Direct: d.direct(), ConnectTimeout: d.opts.PeerConnectTimeout, Backoff: d.opts.RDMABackoff, Metrics: d.metrics,
		Quotas: d.quotas.ofPeers(), MaxConns: int(d.quotas.connsOfPeers()),
	}
	source := d.startProbe(service)
	plain, encrypted := []shuffle.Transport{tcp.New(wire)}, []shuffle.Transport{tcp.NewTLS(wire)}
	if d.seams.source != nil {
		source = d.seams.source(source)
	}
	if d.seams.transport != nil {
		plain[0], encrypted[0] = d.seams.transport(plain[0]), d.seams.transport(encrypted[0])
	}
	server := tcp.NewServer(peers, wire, source, d.metrics)
	d.serve("connections of peers", server.Serve, server.Close)

	local := mem.New(service, d.metrics)
	local.Handles = wire.Quotas.Handles
	d.peers = shuffle.NewPeers(shuffle.PeersOptions{
		DaemonID:       d.info.DaemonID,
		Former:         d.former,
		Local:          local,
		Transports:     plain,
		Encrypted:      encrypted,
		ConnectTimeout: d.opts.PeerConnectTimeout,
		Most:           d.quotas.peersNamed(&d.opts),
	}, d.metrics, d.log)
	d.opened("connections to peers", func(context.Context) error { d.peers.Close(); return nil })

	d.fetcher = shuffle.NewFetcher(d.peers, shuffle.FetchOptions{
		EagerBlock: int(d.opts.FetchEagerBlock),
		EagerMax:   int(d.opts.FetchEagerMax),
		Piece:      int(d.opts.FetchPiece),
		Window:     d.opts.FetchWindow,
		MemoryWait: d.opts.MemoryWait,
	}, d.metrics, d.log)
	d.opened("fetches", func(context.Context) error { d.fetcher.Wait(); return nil })
	return d.startBridge(dir)
}

// startBridge opens the socket for executors.
func (d *daemon) startBridge(dir *socketDir) error {
	announced := make([]string, len(d.info.Announced))
	for i, a := range d.info.Announced {
		announced[i] = a.String()
	}
	opts := jvmbridge.Options{
		DaemonID:        d.info.DaemonID,
		PeerAddresses:   announced,
		PeerPort:        d.info.PeerPort,
		SoftwareVersion: version.String(),
		SessionBytes:    d.opts.MemorySession,
		UpcallBytes:     d.opts.MemoryUpcall,
		RegionBytes:     d.opts.MemoryRegion,
		MemoryWait:      d.opts.MemoryWait,
		Checksum:        d.opts.Checksum,
		Quotas:          d.quotas.ofBridge(),
		Join:            d.join(),
		OnSessions:      d.idle.sessions,
	}
	if d.device != nil {
		opts.RDMADevice, opts.RDMASoftware = d.device.Device(), d.device.Software()
	}
	d.bridge = jvmbridge.NewServer(opts, d.registry, d.fetcher, d.budget, d.metrics, d.log)
	l, err := dir.listenUnix(BridgeSocket, true)
	if err != nil {
		return err
	}
	d.serve("bridge", func() error { return d.bridge.Serve(l) }, d.bridge.Close)
	return nil
}

// checkMemory is called when nothing uses memory, or anything else that is divided, any more; what is still counted was leaked.
func (d *daemon) checkMemory(context.Context) error {
	if left := d.quotas.left(); left != "" {
		return fmt.Errorf("not given back: %s; please report this", left)
	}
	for purpose, u := range d.budget.Usage() {
		if u != (mempool.Usage{}) {
			return fmt.Errorf("%d %s leases and %d bytes were not given back; please report this", u.Leases, purpose, u.Allocated)
		}
	}
	return nil
}
