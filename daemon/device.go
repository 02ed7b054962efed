package daemon

import (
	"context"
	"errors"
	"log/slog"

	"weft/internal/metrics"
	"weft/internal/options"
	"weft/jvmbridge"
	"weft/shuffle"
	"weft/shuffle/rdma"
)

// anyDevice is the value of weft.rdma.device that names none.
const anyDevice = "auto"

// OpenDevice opens the RDMA device that the options name; nil where they want none.
func OpenDevice(opts options.Options, m *metrics.Set, log *slog.Logger) (*rdma.Node, error) {
	if opts.NoRDMA() != "" {
		return nil, nil //nolint:nilnil // as documented
	}
	return rdma.Open(rdma.NodeOptions{
		Options: rdma.Options{Log: log}, Device: opts.RDMADevice, Networks: opts.NetCIDR,
		Registered: opts.MemoryRegisteredMax, AppShare: opts.AppShare, Map: rdma.Mapping(opts.RDMAMap), Metrics: m,
	})
}

// startDevice opens the RDMA device, if one is wanted and can be used. It is no error if not: then blocks move over TCP.
func (d *daemon) startDevice() {
	device, err := OpenDevice(d.opts, d.metrics, d.log)
	switch {
	case device == nil && err == nil:
		d.log.Info("blocks move over TCP", "why", d.opts.NoRDMA())
	case err == nil:
		d.log.Info("blocks move by RDMA where the peer has it, too", "device", device.Device(), "address", device.Addr())
		d.device = device
		d.opened("RDMA device", func(context.Context) error { return device.Close() })
	case d.opts.RDMADevice == anyDevice && errors.Is(err, rdma.ErrNoDevice):
		d.log.Info("blocks move over TCP: this machine has no RDMA device that can be used; weft doctor tells more", "err", err)
	default:
		d.log.Warn("blocks move over TCP: the RDMA device cannot be used; weft doctor tells more; it is tried again when the daemon is started anew",
			"device", d.opts.RDMADevice, "err", err)
	}
}

// direct is the device as package tcp wants it; nil without one.
func (d *daemon) direct() shuffle.Direct {
	if d.device == nil {
		return nil
	}
	return &sparing{Direct: d.device}
}

// join begins a session's use of the device.
func (d *daemon) join() func(shuffle.App) (jvmbridge.Membership, error) {
	if d.device == nil {
		return nil
	}
	return func(app shuffle.App) (jvmbridge.Membership, error) {
		domain, err := d.device.Join(app)
		if err != nil {
			return jvmbridge.Membership{}, err
		}
		return jvmbridge.Membership{Receive: domain.Receive(), Upcall: domain.Upcall(), Leave: domain.Leave}, nil
	}
}
