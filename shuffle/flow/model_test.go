package flow

import (
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// model is the dumb version: slices alone, and every piece remembers what it saw.
type model struct {
	limits  Limits
	streams []*modelStream // in the order of their turns
	flying  map[int]*modelPiece
	bytes   int64
	named   map[uint64]*modelStream
	closed  bool
	items   int
	ended   map[int]int // items by how often they were given back or ended
}

type modelStream struct {
	id     uint64
	left   int64
	pieces []*modelPiece
	begun  int64 // bytes, ever
	longer int64 // the longest piece, ever
}

type modelPiece struct {
	item int
	n    int64
	// Of the first piece of a stream: what the other streams had begun when it was added.
	before map[*modelStream]int64
}

func (m *model) add(id uint64, n int64) {
	var s *modelStream
	if id != 0 {
		s = m.named[id]
	}
	if s == nil {
		s = &modelStream{id: id}
		m.named[id] = s
	}
	p := &modelPiece{item: m.items, n: n}
	m.items++
	if len(s.pieces) == 0 {
		s.left = m.limits.Quantum
		m.streams = append(m.streams, s)
		if n <= m.limits.Quantum {
			p.before = map[*modelStream]int64{}
			for _, other := range m.streams {
				p.before[other] = other.begun
			}
		}
	}
	s.longer = max(s.longer, n, least)
	s.pieces = append(s.pieces, p)
}

// next is what begins next; nil: nothing.
func (m *model) next(t *rapid.T) *modelPiece {
	if len(m.streams) == 0 || len(m.flying) == m.limits.Credits {
		return nil
	}
	for max(m.streams[0].pieces[0].n, least) > m.streams[0].left {
		m.streams[0].left += m.limits.Quantum
		m.streams = append(m.streams[1:], m.streams[0])
	}
	s := m.streams[0]
	p := s.pieces[0]
	if len(m.flying) > 0 && m.bytes+p.n > m.limits.Window {
		return nil
	}
	for other, before := range p.before {
		if began := other.begun - before; other != s && began >= m.limits.Quantum+other.longer {
			t.Fatalf("%d bytes of another stream began before a piece of %d, in turns of %d with pieces of %d", began, p.n, m.limits.Quantum, other.longer)
		}
	}
	s.left -= max(p.n, least)
	s.begun += p.n
	m.bytes += p.n
	if s.pieces = s.pieces[1:]; len(s.pieces) == 0 {
		m.streams = m.streams[1:]
	}
	return p
}

// drop takes what waits of a stream.
func (m *model) drop(s *modelStream) (items []int) {
	for _, p := range s.pieces {
		items = append(items, p.item)
		m.ended[p.item]++
	}
	s.pieces = nil
	m.streams = slices.DeleteFunc(m.streams, func(x *modelStream) bool { return x == s })
	return items
}

func TestAgainstTheDumbVersion(t *testing.T) { rapid.Check(t, against) }

func against(t *rapid.T) {
	l := Limits{rapid.IntRange(1, 20).Draw(t, "credits"), int64(rapid.IntRange(1, 64).Draw(t, "window")) << 10, int64(rapid.IntRange(4, 32).Draw(t, "quantum")) << 10}
	f := New[int](l)
	m := &model{limits: l, flying: map[int]*modelPiece{}, named: map[uint64]*modelStream{}, ended: map[int]int{}}
	sizes := rapid.OneOf(rapid.Int64Range(0, 4<<10), rapid.Int64Range(0, 16<<10), rapid.Just[int64](16<<10), rapid.Int64Range(0, 100<<10))
	check := func(got, want []int) {
		if !slices.Equal(got, want) {
			t.Fatalf("%v was given back, want %v", got, want)
		}
	}
	end := func(slot int) {
		item, ok := f.End(slot)
		p := m.flying[slot]
		if !ok || item != p.item {
			t.Fatalf("slot %d ends %d, %t, want %d", slot, item, ok, p.item)
		}
		m.ended[item]++
		m.bytes -= p.n
		delete(m.flying, slot)
	}
	begin := func(most int) {
		for range most {
			want := m.next(t)
			slot, item, ok := f.Next()
			if ok != (want != nil) || ok && item != want.item {
				t.Fatalf("%d, %t begins, want %+v", item, ok, want)
			}
			if !ok {
				return
			}
			if m.flying[slot] != nil {
				t.Fatalf("slot %d twice", slot)
			}
			m.flying[slot] = want
			if len(m.flying) > l.Credits || len(m.flying) > 1 && m.bytes > l.Window {
				t.Fatalf("%d pieces of %d bytes in flight", len(m.flying), m.bytes)
			}
		}
	}
	t.Repeat(map[string]func(*rapid.T){
		"add": func(t *rapid.T) {
			id, n := uint64(rapid.IntRange(0, 5).Draw(t, "stream")), sizes.Draw(t, "size")
			for range rapid.IntRange(1, 30).Draw(t, "count") {
				if f.Add(id, n, m.items) == m.closed {
					t.Fatalf("added: %t", m.closed)
				}
				if !m.closed {
					m.add(id, n)
				}
			}
		},
		"next": func(t *rapid.T) { begin(rapid.IntRange(1, 30).Draw(t, "count")) },
		"end": func(t *rapid.T) {
			slot := rapid.IntRange(0, l.Credits-1).Draw(t, "slot")
			if m.flying[slot] != nil {
				end(slot)
			} else if _, ok := f.End(slot); ok {
				t.Fatalf("slot %d is not free", slot)
			}
		},
		"cancel": func(t *rapid.T) {
			id := uint64(rapid.IntRange(1, 5).Draw(t, "stream"))
			var want []int
			if s := m.named[id]; s != nil {
				want = m.drop(s)
			}
			check(f.Cancel(id, nil), want)
		},
		"close": func(t *rapid.T) {
			if rapid.IntRange(0, 20).Draw(t, "rarely") > 0 {
				return
			}
			m.closed = true
			if rapid.Bool().Draw(t, "drain") {
				f.Drain()
				return
			}
			var want []int
			for len(m.streams) > 0 {
				want = append(want, m.drop(m.streams[0])...)
			}
			check(f.Lose(errors.New("lost"), nil), want)
		},
		"": func(t *rapid.T) {
			if f.Flying() != len(m.flying) || f.bytes != m.bytes || len(f.byID) > 5 {
				t.Fatalf("%d pieces of %d bytes in flight, want %d of %d; %d names", f.Flying(), f.bytes, len(m.flying), m.bytes, len(f.byID))
			}
			if f.Flying() == 0 && !f.Due() {
				t.Fatal("nothing is in flight, and nothing is due")
			}
		},
	})
	for f.Drain(); !f.Drained(); {
		begin(1 << 20)
		for slot := range l.Credits {
			if m.flying[slot] != nil {
				end(slot)
			}
		}
	}
	for item := range m.items {
		if m.ended[item] != 1 {
			t.Fatalf("piece %d ended %d times", item, m.ended[item])
		}
	}
}
