package verbs

import (
	"fmt"
	"sort"
	"strings"
	"sync"

	"weft/internal/invariants"
)

// handles counts what is open, by kind.
var handles = map[string]*invariants.Counter{}

func init() {
	for _, kind := range []string{"Devices", "PD", "MR", "CompChannel", "CQ", "SRQ", "QP", "CMChannel", "CMID", "SendBatch", "RecvBatch"} {
		handles[kind] = invariants.NewCounter("verbs " + kind)
	}
}

// node is a handle's place among others: those that it depends on, its parents, and how many depend on it.
type node struct {
	kind    string
	parents []*node
	closed  func() // ends its tracking

	mu       sync.Mutex
	children map[string]int // open ones, by kind
	gone     bool
}

// attach makes n depend on parents. It fails where one of them is closed.
func (n *node) attach(kind string, parents ...*node) error {
	n.kind, n.parents = kind, parents
	for i, p := range parents {
		if err := p.adopt(kind); err != nil {
			for _, done := range parents[:i] {
				done.release(kind)
			}
			n.gone = true
			return err
		}
	}
	n.closed = handles[kind].Track()
	return nil
}

func (n *node) adopt(kind string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.gone {
		return fmt.Errorf("new %s of a %s: %w", kind, n.kind, ErrClosed)
	}
	if n.children == nil {
		n.children = map[string]int{}
	}
	n.children[kind]++
	return nil
}

func (n *node) release(kind string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.children[kind]--; n.children[kind] == 0 {
		delete(n.children, kind)
	}
}

// detach undoes attach, by free if there is one, where nothing depends on n any more. The second time it does nothing. Where free fails
// the handle stays open: the library has it still.
func (n *node) detach(free func() error) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.gone {
		return nil
	}
	if len(n.children) > 0 {
		return fmt.Errorf("closing a %s: %s: %w", n.kind, n.dependants(), ErrInUse)
	}
	if free != nil {
		if err := free(); err != nil {
			return err
		}
	}
	n.gone = true
	for _, p := range n.parents {
		p.release(n.kind)
	}
	n.closed()
	return nil
}

func (n *node) dependants() string {
	var all []string
	for kind, count := range n.children {
		all = append(all, fmt.Sprintf("%d %s", count, kind))
	}
	sort.Strings(all)
	return strings.Join(all, ", ")
}

// undo takes an attach back where the library refused to make the handle. It returns err.
func (n *node) undo(err error) error {
	_ = n.detach(nil)
	return err
}
