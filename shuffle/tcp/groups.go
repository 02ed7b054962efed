package tcp

import (
	"fmt"
	"sync"

	"weft/internal/metrics"
	"weft/shuffle/serve"
)

// groups is the handles of a server's connections, by group. Who knows a group's name may read what was located for it: it is random, and
// told to nobody but the owner.
type groups struct {
	metrics *metrics.Set

	mu    sync.Mutex
	named map[[groupLen]byte]*group
}

type group struct {
	*serve.Table
	name  [groupLen]byte
	conns int
	told  sync.Once // one line about the group's end; the others of its connections end with it
}

func newGroups(m *metrics.Set) *groups {
	return &groups{metrics: m, named: make(map[[groupLen]byte]*group)}
}

// join is the group of that name, or a new one. Without a name it is one that nobody else joins.
func (g *groups) join(name []byte) (*group, error) {
	if len(name) != 0 && len(name) != groupLen {
		return nil, fmt.Errorf("a group's name of %d bytes", len(name))
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(name) == 0 {
		return &group{Table: serve.NewTable(g.metrics, Name), conns: 1}, nil
	}
	key := [groupLen]byte(name)
	if g.named[key] == nil {
		g.named[key] = &group{Table: serve.NewTable(g.metrics, Name), name: key}
	}
	g.named[key].conns++
	return g.named[key], nil
}

// leave ends one connection's part in a group. The last one closes its handles.
func (g *groups) leave(m *group) {
	g.mu.Lock()
	m.conns--
	last := m.conns == 0
	if last && g.named[m.name] == m {
		delete(g.named, m.name)
	}
	g.mu.Unlock()
	if last {
		m.Close()
	}
}
