package rdma

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/verbs"
)

// Name is the word for what comes by a Node.
const Name = "rdma"

// filePieceLen is how much of a map output is registered at a time.
const filePieceLen = 64 << 20

// fileRest is how long such a piece stays after its last use when others want its room.
const fileRest = 10 * time.Second

// NodeOptions say which device a daemon uses, and how.
type NodeOptions struct {
	Options
	Device     string         // as Choice has it
	Networks   []netip.Prefix // as Choice has them
	AppShare   int            // percent of it that one application may have in use of what the others leave; 0: all
	Registered int64          // bytes of files that may be registered
	Map        Mapping        // how
	Metrics    *metrics.Set
}

// Node is the device of a daemon: what its executors' memory is registered with, what lets peers' daemons read it, and what reads theirs.
// Its methods may be called from many goroutines.
type Node struct {
	log      *slog.Logger
	metrics  *metrics.Set
	devices  *verbs.Devices
	ctx      *verbs.Context
	port     int // of the device
	device   *Device
	listener *Listener
	files    *Files
	watched  sync.WaitGroup

	mu      sync.Mutex
	domains map[shuffle.App]*Domain
	broken  error // why the device is of no use now; nil: it is
	fatal   bool  // and will not be: no port's state changes that
}

var _ shuffle.Direct = (*Node)(nil)

// ErrNoDevice: this machine has no RDMA device, or not the libraries for it.
var ErrNoDevice = errors.New("no RDMA device")

type noDeviceError struct{ error }

func (noDeviceError) Is(target error) bool { return target == ErrNoDevice }

// Open opens the device. The error says for each device why it is of no use; ErrNoDevice is in its chain where there is none.
func Open(opts NodeOptions) (*Node, error) {
	opts.Options = opts.withDefaults()
	n := &Node{log: opts.Log, metrics: opts.Metrics, files: NewFiles(filePieceLen, opts.Registered, opts.Map), domains: map[shuffle.App]*Domain{}}
	n.files.Rest, n.files.Share = fileRest, opts.AppShare
	n.files.Bytes = n.metrics.RegisteredBytes(metrics.Files).Add
	var err error
	if n.devices, err = verbs.OpenDevices(); err != nil {
		var missing *verbs.LibraryError
		if errors.As(err, &missing) || errors.Is(err, syscall.ENODEV) {
			err = noDeviceError{err}
		}
		return nil, err
	}
	if err := n.open(opts); err != nil {
		return nil, errors.Join(err, n.close())
	}
	n.watched.Go(n.watch)
	return n, nil
}

func (n *Node) open(opts NodeOptions) error {
	port, err := Choice{Device: opts.Device, Networks: opts.Networks}.Choose()
	if err != nil {
		return err
	}
	if n.ctx = n.devices.Device(port.Device); n.ctx == nil {
		return fmt.Errorf("the libraries cannot open %s", port.Device)
	}
	n.log, n.port = n.log.With("device", port.Device), port.Number
	if n.device, err = NewDevice(n.ctx, opts.Options); err != nil {
		return err
	}
	n.listener, err = n.device.Listen(netip.AddrPortFrom(port.Addr, 0))
	return err
}

// Name is "rdma".
func (n *Node) Name() string { return Name }

// Device is the name of the device that is used, and Addr where peers connect to.
func (n *Node) Device() string       { return n.ctx.Name() }
func (n *Node) Software() bool       { return verbs.Sys("").Software(n.Device()) } // no hardware, see there
func (n *Node) Addr() netip.AddrPort { return n.listener.Addr() }

// Registered is how many bytes of files are.
func (n *Node) Registered() int64 { return n.files.Registered() }

// Broken is why the device is of no use now; nil: it is.
func (n *Node) Broken() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.broken
}

// Forget ends what is registered of a file that is about to be closed.
func (n *Node) Forget(file *os.File) { n.files.Forget(file) }

// watch follows the device's own events: with its port down, or itself broken, everything moves to TCP at once instead of after time-outs.
func (n *Node) watch() {
	for {
		e, err := n.ctx.NextEvent(time.Time{})
		switch {
		case errors.Is(err, verbs.ErrClosed):
			return
		case err != nil:
			n.log.Error("the RDMA device's events cannot be read any more", "err", err)
			return
		case e.Type == verbs.EventDeviceFatal:
			n.fail(fmt.Errorf("rdma: the device %s reports %v; restart the daemon when it works again", n.ctx.Name(), e.Type), true)
		case e.Type == verbs.EventPortErr && e.Port == n.port:
			n.fail(fmt.Errorf("rdma: the device %s reports %v", n.ctx.Name(), e.Type), false)
		case e.Type == verbs.EventPortActive && e.Port == n.port:
			n.mend()
		default:
			n.log.Debug("an event of the RDMA device", "event", e.Type, "port", e.Port, "qp", e.QPN)
		}
	}
}

// mend lets reads begin again.
func (n *Node) mend() {
	n.log.Info("the RDMA device's port is active")
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.fatal {
		n.broken = nil
	}
}

// fail ends all reads. Nothing new begins until the port is active; after a fatal event, nothing at all.
func (n *Node) fail(why error, fatal bool) {
	n.log.Warn("blocks come over TCP until the RDMA device can be used again", "err", why)
	n.mu.Lock()
	n.broken, n.fatal = why, n.fatal || fatal
	var conns []*conn
	for _, d := range n.domains {
		for c := range d.conns {
			conns = append(conns, c)
		}
	}
	n.mu.Unlock()
	for _, c := range conns {
		c.queue.fail(why)
	}
}

// Close closes the device. No executor, connection or exposed block is there any more.
func (n *Node) Close() error {
	err := n.close()
	if !errors.Is(err, verbs.ErrInUse) { // else the device is open still, and its events are waited for
		n.watched.Wait()
	}
	return err
}

func (n *Node) close() error {
	var errs []error
	if n.listener != nil {
		errs = append(errs, n.listener.Close())
	}
	errs = append(errs, n.files.Close())
	if n.device != nil {
		errs = append(errs, n.device.Close())
	}
	return errors.Join(append(errs, n.devices.Close())...)
}
