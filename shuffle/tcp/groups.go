package tcp

import (
	"sync"
	"sync/atomic"

	"weft/internal/metrics"
	"weft/shuffle"
	"weft/shuffle/serve"
)

// groups is the handles of a server's connections: one table for each application of each group of connections. Who knows a group's name has
// nothing of it: a connection gets at an application's table by opening that application, which takes its secret.
type groups struct {
	metrics *metrics.Set

	mu    sync.Mutex
	last  uint64 // number of the last table
	named map[groupKey]*group
}

type groupKey struct {
	name      [groupLen]byte
	app       shuffle.App
	transport string // a group's connections are all plain, or all under TLS
}

type group struct {
	*serve.Table
	key    groupKey
	number uint64 // of the table: its handles begin with it
	conns  int

	locating atomic.Int32 // requests being resolved
	told     atomic.Bool  // one line about the group's end; the others of its connections end with it
}

// tableNumbers is how many tables there are whose handles differ. What is counted beyond begins anew; handles of ended tables are of no use.
const tableNumbers = 1 << (64 - serve.TableBits)

func newGroups(m *metrics.Set) *groups {
	return &groups{metrics: m, named: make(map[groupKey]*group)}
}

// join is the application's part of the group of that name, or a new one. Without a name it is one that nobody else joins.
func (g *groups) join(name []byte, app shuffle.App, transport string) *group {
	key := groupKey{app: app, transport: transport}
	copy(key.name[:], name)
	g.mu.Lock()
	defer g.mu.Unlock()
	m := g.named[key]
	if m == nil || len(name) == 0 {
		g.last = max(1, (g.last+1)%tableNumbers)
		m = &group{Table: serve.NewTable(g.metrics, transport, g.last), key: key, number: g.last}
		if len(name) != 0 {
			g.named[key] = m
		}
	}
	m.conns++
	return m
}

// leave ends one connection's part in a group. The last one closes its handles.
func (g *groups) leave(m *group) {
	g.mu.Lock()
	m.conns--
	last := m.conns == 0
	if last && g.named[m.key] == m {
		delete(g.named, m.key)
	}
	g.mu.Unlock()
	if last {
		m.Close()
	}
}
