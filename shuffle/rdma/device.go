package rdma

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"weft/verbs"
)

// Options say how a device is used.
type Options struct {
	// Reads is how many READs are posted to one connection's queue pair; 0: 64. The device has as many of them in flight as both ends allow (max_rd_atomic,
	// 16 as a rule) and begins the others by itself.
	Reads int
	// Window is how many bytes they are together, unless it is one alone; 0: 4 MiB. What is posted goes before all that comes later.
	Window int64
	// Connections is how many connections may be open for reading; 0: 256.
	Connections int
	// AckTimeout is how long the device waits for an acknowledgement: 4.096 us * 2^n; 0: 17, half a second. With Retries it is what a peer
	// that vanished costs: (Retries + 1) times it.
	AckTimeout int
	// Retries is how often it sends again what is not acknowledged; 0: 4. At most 6: 7 is for ever on some devices.
	Retries int
	Log     *slog.Logger
}

func (o Options) withDefaults() Options {
	set := func(v *int, standard int) {
		if *v == 0 {
			*v = standard
		}
	}
	set(&o.Reads, 64)
	if o.Window == 0 {
		o.Window = 16 * maxRead // as many READs as the device has in flight, as a rule
	}
	set(&o.Connections, 256)
	set(&o.AckTimeout, 17)
	set(&o.Retries, 4)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o
}

// rnrRetries is how often a message is sent again that finds no receive request: never needed for READs.
const rnrRetries = 6

// Device is one RDMA device as both ends of connections use it. The verbs.Context stays its owner's.
type Device struct {
	opts  Options
	ctx   *verbs.Context
	comp  *completer
	depth int // READs that a connection may have in flight in the device
}

// NewDevice begins to use a device.
func NewDevice(ctx *verbs.Context, opts Options) (*Device, error) {
	d := &Device{opts: opts.withDefaults(), ctx: ctx}
	if d.opts.Reads < 1 || d.opts.Connections < 1 || d.opts.Window < 1 {
		return nil, fmt.Errorf("rdma: %d READs of %d bytes on each of %d connections: want at least 1", d.opts.Reads, d.opts.Window, d.opts.Connections)
	}
	if d.opts.Retries < 0 || d.opts.Retries > 6 || d.opts.AckTimeout < 1 || d.opts.AckTimeout > 31 {
		return nil, fmt.Errorf("rdma: %d retries after 4.096 us * 2^%d: want 1 to 6, and 1 to 31", d.opts.Retries, d.opts.AckTimeout)
	}
	attr, err := ctx.Attr()
	if err != nil {
		return nil, err
	}
	d.depth = min(attr.MaxQPRdAtom, attr.MaxQPInitRdAtom, 16)
	if d.depth < 1 {
		return nil, errors.New("rdma: " + ctx.Name() + " does no READs")
	}
	d.opts.Reads = min(d.opts.Reads, attr.MaxQPWR)
	if d.comp, err = newCompleter(ctx, min(d.opts.Reads*d.opts.Connections, attr.MaxCQE), d.opts.Log.With("device", ctx.Name())); err != nil {
		return nil, err
	}
	return d, nil
}

// Close ends the use. ErrInUse while there are connections or listeners.
func (d *Device) Close() error { return d.comp.close() }

// patience is how long a queue pair may take to flush what is in flight: it does so at once, unless the device is broken.
const patience = 5 * time.Second
