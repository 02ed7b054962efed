package daemon

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"weft/internal/options"
	"weft/internal/status"
	"weft/jvmbridge"
	"weft/shuffle"
	"weft/shuffle/quota"
	"weft/shuffle/tcp"
)

// What a daemon has for all applications together, where no option says it. A job alone, with 8 executors of 16 cores each on every node, 48 MiB in
// flight for each task and 100,000 map outputs, meets none of them with blocks of 2 KiB on average.
type capacity struct {
	sessions, requests, inline, mapOutputs, handles, locates, conns, peers int64
}

var defaultCapacity = capacity{
	sessions:   1024,
	requests:   1 << 23,   // blocks, of 100 to 250 bytes of memory each, and 64 for each request
	inline:     256 << 20, // bytes
	mapOutputs: 512 << 20, // bytes of memory, half a KiB for each
	handles:    1 << 23,   // of about 220 bytes of memory each
	locates:    2 << 30,   // bytes of memory
	conns:      1 << 16,
	peers:      1 << 13,
}

const peersResource = "peers"

// quotas divide what the daemon has among applications.
type quotas struct {
	capacity
	percent int
	all     []named
	count   func(resource string) quota.Counter

	memory *quota.Pool
}

type named struct {
	resource string
	pool     *quota.Pool
}

// newPool is a pool that `weft status` and the metrics know.
func (q *quotas) newPool(resource string, most int64) *quota.Pool {
	p := quota.New(most, q.percent, q.count(resource))
	q.all = append(q.all, named{resource, p})
	return p
}

// openFiles is how many descriptors this process may have.
func openFiles() int64 {
	limit := unix.Rlimit{Cur: 1024}
	_ = unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) // fails for no process
	return int64(min(limit.Cur, 1<<30))
}

func (d *daemon) startQuotas() {
	d.quotas = &quotas{capacity: defaultCapacity, percent: d.opts.AppShare, count: func(resource string) quota.Counter { return d.metrics.QuotaRefusals(resource) }}
	d.quotas.memory = d.quotas.newPool("memory", d.opts.MemoryMax)
}

func (q *quotas) ofRegistry(opts *options.Options) shuffle.Quotas {
	return shuffle.Quotas{
		Descriptors: q.newPool("directories", openFiles()/8),
		MapOutputs:  q.newPool("map_outputs", q.mapOutputs),
		Files:       q.newPool("files", max(openFiles()/3*2, int64(opts.FilesMax))), // of which an application alone has half of what may be open
	}
}

func (q *quotas) ofPeers() tcp.Quotas {
	return tcp.Quotas{
		Conns:   q.newPool("connections", q.connsOfPeers()),
		Locates: q.newPool("locates", q.locates),
		Handles: q.newPool("handles", q.handles),
	}
}

func (q *quotas) connsOfPeers() int64 { return min(q.conns, openFiles()/4) }

// peersNamed is of those that may be connected to.
func (q *quotas) peersNamed(opts *options.Options) *quota.Pool {
	return q.newPool(peersResource, min(q.peers, openFiles()/4/int64(1+opts.TCPStreams)))
}

func (q *quotas) ofBridge() jvmbridge.Quotas {
	return jvmbridge.Quotas{
		Sessions: q.newPool("sessions", q.sessions),
		Fetches:  q.newPool("requests", q.requests),
		Inline:   q.newPool("inline", q.inline),
	}
}

// left is what is counted as used when the daemon has ended; "" is nothing. Peers stay known.
func (q *quotas) left() string {
	var left []string
	for _, n := range q.all {
		if usage := n.pool.Usage(); len(usage) > 0 && n.resource != peersResource {
			left = append(left, fmt.Sprintf("%s %v", n.resource, usage))
		}
	}
	return strings.Join(left, ", ")
}

// status lists what each application has of each pool that it has anything of.
func (q *quotas) status() []status.App {
	apps := map[string]*status.App{}
	for _, n := range q.all {
		for app, used := range n.pool.Usage() {
			if app == shuffle.ProbeApp.ID {
				continue
			}
			if apps[app] == nil {
				apps[app] = &status.App{App: app, Uses: map[string]int64{}}
			}
			apps[app].Uses[n.resource] = used
		}
	}
	all := make([]status.App, 0, len(apps))
	for _, a := range apps {
		all = append(all, *a)
	}
	slices.SortFunc(all, func(a, b status.App) int { return cmp.Compare(a.App, b.App) })
	return all
}
