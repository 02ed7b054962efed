package doctor

import (
	"context"
	"errors"

	"golang.org/x/sys/unix"

	"weft/daemon"
	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/mempool"
	"weft/shuffle/rdma"
	"weft/shuffle/tcp"
)

// device is this host's, with memory to read into.
type device struct {
	*rdma.Node
	metrics *metrics.Set
	domain  *rdma.Domain
	mem     []byte
	reg     mempool.Registration
}

// open opens the device that a daemon with these options would take; nil where it would have none, with the reason unless it is not wanted.
func (v *visit) open() (*device, error) {
	d := &device{metrics: metrics.NewSet()}
	var err error
	if d.Node, err = daemon.OpenDevice(v.opts, d.metrics, v.log); d.Node == nil {
		return nil, err
	}
	if d.domain, err = d.Join(shuffle.ProbeApp); err == nil {
		d.mem, err = unix.Mmap(-1, 0, shuffle.ProbeLen, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANONYMOUS)
	}
	if err == nil {
		d.reg, err = d.domain.Receive().Register(d.mem)
	}
	if err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

// close gives everything back. Memory that the device may still know stays.
func (d *device) close() error {
	if d == nil {
		return nil
	}
	if d.reg != nil {
		if err := d.reg.Close(); err != nil {
			return err
		}
	}
	if d.domain != nil {
		d.domain.Leave()
	}
	err := d.Close()
	if d.mem != nil {
		err = errors.Join(err, unix.Munmap(d.mem))
	}
	return err
}

// What to look at where RDMA does not get through though TCP does.
const (
	todoConnect = "let UDP port 4791 (RoCE) through firewalls; see RDMA address on both hosts: is there a route between the two, in the network that is meant?"
	todoRead    = "give all interfaces and switches between the two one MTU (ping -M do -s SIZE), and a way without loss (PFC or ECN)"
)

// rdma tries whether this host can read the peer's memory.
func (v *visit) rdma(ctx context.Context, hello tcp.Hello, d *device, err error) Result {
	switch {
	case !v.wants():
		return v.notWanted()
	case err != nil:
		return v.without("see the lines on RDMA above", "this host has no device: %v", err)
	case !hello.Direct():
		return v.without("run `weft doctor` on that host; its daemon's log says why, too", "the peer has no device")
	}
	w := &watched{Direct: d}
	c, err := v.dial(ctx, tcp.Options{Direct: w, ConnectTimeout: v.opts.PeerConnectTimeout, Metrics: d.metrics})
	if err != nil {
		return v.unreached(err)
	}
	ctx, cancel := context.WithTimeout(ctx, v.opts.PeerConnectTimeout+exchange)
	defer cancel()
	f := fetch(ctx, c, d.mem)
	_ = c.Close() // now nothing of w goes on
	return w.judge(f, d.Device())
}

// judge says how it went.
func (w *watched) judge(f fetched, device string) Result {
	switch {
	case w.dialled && errors.Is(w.dialErr, context.DeadlineExceeded):
		return fail(todoConnect, "connecting from %s to %s: no answer within %s (weft.peer.connect.timeout)", device, w.addr, ms(w.dialTook))
	case w.dialled && w.dialErr != nil:
		return fail(todoConnect, "connecting from %s to %s failed after %s: %v", device, w.addr, ms(w.dialTook), w.dialErr)
	case w.readErr != nil:
		return fail(todoRead, "connected from %s to %s in %s, but the READ of 1 MiB failed: %v", device, w.addr, ms(w.dialTook), w.readErr)
	case f.err != nil:
		return fail("try again; that daemon's log may say more", "1 MiB did not come: %v", f.err)
	case !w.dialled:
		return fail("look at `weft status` and the daemon's log there: a device that is broken, no memory that may be registered (memlock), or others who try the same",
			"the peer has a device, but does not let its memory be read by it now")
	case f.by == "":
		return fail("see memlock", "connected from %s to %s in %s, but 1 MiB here was not registered", device, w.addr, ms(w.dialTook))
	}
	return ok("1 MiB READ in %s by %s from %s, all bytes right; connected in %s", ms(w.readTook), device, w.addr, ms(w.dialTook))
}
