package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"weft/internal/metrics"
	"weft/internal/options"
	"weft/jvmbridge"
	"weft/shuffle"
	"weft/shuffle/mempool"
	"weft/shuffle/rdma"
)

// closePatience is how long open answers of the HTTP servers may hold up the end.
const closePatience = 2 * time.Second

// Info is what a daemon that is ready tells.
type Info struct {
	BridgeSocket string // where executors connect
	PeerPort     uint16
	Announced    []netip.Addr
	DaemonID     [16]byte
}

// Run is the daemon's whole life. It calls ready once, when executors and peers can connect, and returns nil after ctx ended or, with
// weft.daemon.grace, after no session was open and nothing kept for that long; ErrAlreadyRunning, if another daemon serves the directory. What it started
// and opened is gone when it returns.
func Run(ctx context.Context, opts options.Options, log *slog.Logger, ready func(Info)) error {
	return run(ctx, opts, log, seams{}, ready)
}

// seams are where a test puts itself between two parts; nil: nothing is there.
type seams struct {
	source    func(shuffle.Source) shuffle.Source       // before what peers are served with
	transport func(shuffle.Transport) shuffle.Transport // before what reaches peers, without and with TLS
}

func run(ctx context.Context, opts options.Options, log *slog.Logger, s seams, ready func(Info)) error {
	d := &daemon{opts: opts, log: log, seams: s, metrics: metrics.NewSet(), started: time.Now(), broken: make(chan error, 1)}
	if err := d.start(ctx); err != nil {
		return errors.Join(err, d.close())
	}
	ready(d.info)
	select {
	case <-ctx.Done():
		log.Info("ending", "why", "asked to")
	case <-d.idle.over:
		log.Info("ending", "why", "no session was open", "for", opts.DaemonGrace)
	case err := <-d.broken:
		return errors.Join(err, d.close())
	}
	return d.close()
}

// daemon is the composition of the parts, and nothing else.
type daemon struct {
	opts    options.Options
	log     *slog.Logger
	seams   seams
	metrics *metrics.Set
	started time.Time
	info    Info
	idle    *idle
	former  [][16]byte // ids of daemons before this one that left something

	device   *rdma.Node // nil: there is none
	quotas   *quotas
	budget   *mempool.Budget
	registry *shuffle.Registry
	peers    *shuffle.Peers
	fetcher  *shuffle.Fetcher
	bridge   *jvmbridge.Server

	broken  chan error // a part ended by itself
	closers []closer   // in the order of opening
}

type closer struct {
	name  string
	close func(context.Context) error
}

func (d *daemon) opened(name string, stop func(context.Context) error) {
	d.closers = append(d.closers, closer{name, stop})
}

// serve runs a server until its close. One that ends by itself ends the daemon.
func (d *daemon) serve(name string, run, stop func() error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := run(); err != nil {
			select {
			case d.broken <- fmt.Errorf("%s: %w", name, err):
			default: // another part broke first
			}
		}
	}()
	d.opened(name, func(context.Context) error {
		err := stop()
		<-done
		return err
	})
}

// close closes the parts, those that were opened last first.
func (d *daemon) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), closePatience)
	defer cancel()
	var errs []error
	for i := len(d.closers) - 1; i >= 0; i-- {
		c := d.closers[i]
		d.log.Debug("closing", "part", c.name)
		if err := c.close(ctx); err != nil {
			errs = append(errs, fmt.Errorf("closing %s: %w", c.name, err))
		}
	}
	d.closers = nil
	return errors.Join(errs...)
}
