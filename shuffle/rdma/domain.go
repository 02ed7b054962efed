package rdma

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/mempool"
	"weft/verbs"
)

// Domain is what one application has registered here: its readers on other nodes reach nothing else. It lives from the first of its
// executors until nothing of it is in use.
type Domain struct {
	node *Node
	app  shuffle.App
	pd   *verbs.PD
	told sync.Once // one line about what could not be registered

	lacking atomic.Bool // an executor's memory could not be

	// Guarded by the node's mu:
	executors int
	users     int // executors, regions, exposed blocks and connections
	conns     map[*conn]struct{}

	mu      sync.RWMutex
	regions map[*region]struct{}
}

// Join begins an executor's use of the device, until Leave.
func (n *Node) Join(app shuffle.App) (*Domain, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := n.domains[app]
	if d == nil {
		pd, err := n.ctx.AllocPD()
		if err != nil {
			return nil, err
		}
		d = &Domain{node: n, app: app, pd: pd, conns: map[*conn]struct{}{}, regions: map[*region]struct{}{}}
		n.domains[app] = d
	}
	d.executors++
	d.users++
	return d, nil
}

var errLeft = errors.New("rdma: the application has no executor here any more")

// Leave ends an executor's use. With the last one nobody reads the application's memory any more; its own reads end.
func (d *Domain) Leave() {
	n := d.node
	n.mu.Lock()
	var conns []*conn
	if d.executors--; d.executors == 0 {
		delete(n.domains, d.app)
		for c := range d.conns {
			conns = append(conns, c)
		}
	}
	last := d.executors == 0
	n.mu.Unlock()
	if last {
		n.listener.Expel(d.pd)
		for _, c := range conns {
			c.queue.fail(errLeft)
		}
		n.files.Drop(d.pd)
	}
	d.unuse()
}

// use finds the application's domain and adds a user.
func (n *Node) use(app shuffle.App) (*Domain, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.broken != nil {
		return nil, n.broken
	}
	d := n.domains[app]
	if d == nil {
		return nil, errLeft
	}
	d.users++
	return d, nil
}

// unuse takes a user off. The last one closes the domain.
func (d *Domain) unuse() {
	n := d.node
	n.mu.Lock()
	d.users--
	last := d.users == 0
	n.mu.Unlock()
	if !last {
		return
	}
	n.files.Drop(d.pd)
	if err := d.pd.Close(); err != nil {
		n.log.Error("an application's RDMA domain was not given back; restart the daemon if this repeats", "app", d.app.ID, "err", err)
	}
}

// Receive registers memory that blocks are read into.
func (d *Domain) Receive() mempool.Registrar { return registrar{d, verbs.LocalWrite, metrics.Receive} }

// Upcall registers memory that blocks are read from.
func (d *Domain) Upcall() mempool.Registrar { return registrar{d, verbs.RemoteRead, metrics.Upcall} }

type registrar struct {
	d       *Domain
	access  verbs.Access
	purpose string
}

// region is registered memory.
type region struct {
	d       *Domain
	mr      *verbs.MR
	purpose string
}

type unregistered struct{}

func (unregistered) Close() error { return nil }

// Register does not fail: memory that the device refuses is filled over TCP.
func (r registrar) Register(mem []byte) (mempool.Registration, error) {
	d := r.d
	d.node.mu.Lock()
	d.users++
	d.node.mu.Unlock()
	mr, err := d.pd.RegMR(mem, r.access)
	if err != nil {
		d.lacking.Store(true)
		d.refused(err)
		d.unuse()
		return unregistered{}, nil
	}
	reg := &region{d, mr, r.purpose}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.regions[reg] = struct{}{}
	d.node.metrics.RegisteredBytes(r.purpose).Add(float64(mr.Len()))
	return reg, nil
}

func (r *region) Close() error {
	r.d.mu.Lock()
	delete(r.d.regions, r)
	r.d.mu.Unlock()
	r.d.node.metrics.RegisteredBytes(r.purpose).Sub(float64(r.mr.Len()))
	err := r.mr.Close()
	r.d.unuse()
	return err
}

// refused tells once why something is not registered.
func (d *Domain) refused(err error) {
	d.told.Do(func() {
		d.node.log.Warn("memory was not registered with the RDMA device; what lies there comes over TCP", "app", d.app.ID, "err", err)
	})
}

// find is the region that mem lies in.
func (d *Domain) find(mem []byte) (r *region, off int) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	for r := range d.regions {
		if off, ok := r.mr.Find(mem); ok {
			return r, off
		}
	}
	return nil, 0
}

var errUnchecked = errors.New("rdma: a block without a checksum, so that nobody would see if its file were truncated while it is read (weft.checksum)")

var errElsewhere = errors.New("rdma: the block lies in memory that is not registered")

// Expose implements shuffle.Direct.
func (n *Node) Expose(app shuffle.App, f *shuffle.Found) (parts []shuffle.Part, hide func(), err error) {
	d, err := n.use(app)
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			// Executors send small blocks in a message; those are nobody's loss.
			if !errors.Is(err, errElsewhere) || d.lacking.Load() {
				n.metrics.HiddenBlocks.Inc()
				d.refused(err)
			}
			d.unuse()
		}
	}()
	if f.File == nil {
		r, off := d.find(f.Mem)
		if r == nil {
			return nil, nil, errElsewhere
		}
		at := r.mr.Remote(off)
		return []shuffle.Part{{Addr: at.Addr, Key: at.RKey, Length: int64(len(f.Mem))}}, d.unuse, nil
	}
	if !f.Checked {
		return nil, nil, errUnchecked
	}
	pinned, err := n.files.Pin(d.pd, f.File, f.Offset, f.Length)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", f.File.Name(), err)
	}
	for _, p := range pinned.Parts {
		parts = append(parts, shuffle.Part{Addr: p.Remote.Addr, Key: p.Remote.RKey, Length: p.Len})
	}
	return parts, func() {
		pinned.Release()
		d.unuse()
	}, nil
}
