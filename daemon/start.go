package daemon

import (
	"context"
	"crypto/rand"
	"net"
	"os"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus/collectors"

	"weft/internal/status"
	"weft/internal/version"
	"weft/shuffle"
)

// start opens the parts, each after those that it uses. What it opened before an error is closed by close.
func (d *daemon) start(ctx context.Context) error {
	d.idle = newIdle(d.opts.DaemonGrace)
	d.opened("idle timer", func(context.Context) error { d.idle.stop(); return nil })
	d.describe()

	dir, err := openSocketDir(d.opts.SocketDir)
	if err != nil {
		return err
	}
	d.opened("lock", func(context.Context) error { return dir.close() })

	if d.info.Announced, err = Announced(d.opts.NetBind, d.opts.NetCIDR); err != nil {
		return err
	}
	peers, err := ListenPeers(ctx, d.opts.NetBind, d.opts.NetPort)
	if err != nil {
		return err
	}
	d.info.PeerPort = uint16(peers.Addr().(*net.TCPAddr).Port)
	d.info.BridgeSocket = filepath.Join(dir.path, BridgeSocket)
	if err := d.startParts(dir, peers); err != nil {
		return err
	}
	return d.startAdmin(ctx, dir)
}

// describe sets what is known before anything is opened.
func (d *daemon) describe() {
	_, _ = rand.Read(d.info.DaemonID[:]) // never fails
	d.metrics.BuildInfo(version.String()).Set(1)
	d.metrics.StartSeconds.Set(float64(d.started.UnixMilli()) / 1000)
	d.metrics.ArenaMaxBytes.Set(float64(d.opts.MemoryMax))
	for _, r := range shuffle.Reasons() { // so that a rate has a zero to begin from
		d.metrics.FailedBlocks(r.String())
		d.metrics.FallbackBlocks(r.String())
		d.metrics.FallbackBytes(r.String())
	}
	d.metrics.Registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{PidFn: func() (int, error) { return os.Getpid(), nil }}),
	)
}

// startAdmin opens the HTTP servers.
func (d *daemon) startAdmin(ctx context.Context, dir *socketDir) error {
	l, err := dir.listenUnix(status.AdminSocket, false)
	if err != nil {
		return err
	}
	d.opened("admin socket", serveHTTP(l, adminHandler(d.status, d.metrics.Registry)).close)
	if d.opts.MetricsAddress == "" {
		return nil
	}
	var lc net.ListenConfig
	public, err := lc.Listen(ctx, "tcp", d.opts.MetricsAddress)
	if err != nil {
		return err
	}
	d.opened("metrics address", serveHTTP(public, publicHandler(d.metrics.Registry)).close)
	return nil
}
