package tcp

import (
	"fmt"
	"time"

	"weft/shuffle"
)

// held is a block of a handle, as it can be read directly.
type held struct {
	way    *way
	parts  []shuffle.Part
	length int64

	flying   int  // reads begun and not over
	released bool // to be told to the owner when none is: it takes the memory back then

	conn shuffle.DirectConn // that the parts can be read by; nil: the next
	told time.Time          // when the owner last heard of it
}

// tellEvery is how long a block is read directly until the owner is told of it, which gives up what nobody reads for handleIdle.
const tellEvery = handleIdle / 4

const (
	// leastPart is how long parts are, but for a block's first and last: owners register memory in pieces that are far longer.
	leastPart = 64 << 10
	// manyParts is for how many an answer's memory is kept.
	manyParts = 1 << 12
)

// learn notes where the blocks of an answer lie. An answer that makes no sense ends the bundle.
func (d *direct) learn(app shuffle.App, m *located, answer []shuffle.Located) error {
	total := len(m.partAddrs)
	if len(m.partCounts) == 0 && m.invitation == "" && total+len(m.partKeys)+len(m.partLengths) == 0 {
		return nil
	}
	if (len(m.partCounts) != 0 && len(m.partCounts) != len(answer)) || len(m.partKeys) != total || len(m.partLengths) != total {
		return fmt.Errorf("an answer for %d blocks with parts of %d: %d addresses, %d keys and %d lengths",
			len(answer), len(m.partCounts), total, len(m.partKeys), len(m.partLengths))
	}
	all := make([]shuffle.Part, total)
	for i := range all {
		all[i] = shuffle.Part{Addr: m.partAddrs[i], Key: m.partKeys[i], Length: int64(m.partLengths[i])}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.way(app)
	for i, n := range m.partCounts {
		if n == 0 {
			continue
		}
		l := &answer[i]
		if int64(n) > int64(len(all)) || int64(n) > l.Length/leastPart+2 || l.Handle == 0 {
			return fmt.Errorf("%d parts of a block of %d bytes that has no handle, or more than there are", n, l.Length)
		}
		h := &held{way: w, parts: all[:n:n], length: l.Length, conn: w.conn, told: time.Now()}
		all = all[n:]
		left := l.Length
		for _, p := range h.parts {
			if p.Length <= 0 || p.Length > left {
				return fmt.Errorf("a part of %d bytes where %d of a block are left", p.Length, left)
			}
			left -= p.Length
		}
		if left != 0 {
			return fmt.Errorf("parts that are %d bytes shorter than their block", left)
		}
		if d.held[l.Handle] != nil {
			return fmt.Errorf("handle %d for a second block", l.Handle)
		}
		d.held[l.Handle] = h
	}
	if len(all) != 0 {
		return fmt.Errorf("%d parts of no block", len(all))
	}
	if m.invitation != "" {
		d.accept(w, m.invitation)
	}
	if total > manyParts {
		m.partAddrs, m.partKeys, m.partLengths = nil, nil, nil
	}
	return nil
}

// read begins those of reqs that can be read directly, and returns the others.
func (d *direct) read(reqs []shuffle.ReadRequest) (others []shuffle.ReadRequest) {
	type batch struct {
		conn  shuffle.DirectConn
		reads []shuffle.DirectRead
	}
	var batches []batch
	var tell []shuffle.Range
	now := time.Now()
	d.mu.Lock()
	for i := range reqs {
		w, parts := d.find(&reqs[i])
		if w == nil {
			others = append(others, reqs[i])
			continue
		}
		r := reqs[i]
		r.Ranges, r.Release = append([]shuffle.Range(nil), r.Ranges...), append([]uint64(nil), r.Release...)
		for _, x := range r.Ranges {
			h := d.held[x.Handle]
			h.flying++
			if now.Sub(h.told) > tellEvery {
				h.told = now
				tell = append(tell, shuffle.Range{Handle: x.Handle})
			}
		}
		if w.conn == nil {
			w.waiting = append(w.waiting, r)
			continue
		}
		if n := len(batches); n == 0 || batches[n-1].conn != w.conn {
			batches = append(batches, batch{conn: w.conn})
		}
		b := &batches[len(batches)-1]
		b.reads = append(b.reads, shuffle.DirectRead{Dst: r.Dst, Parts: parts, Stream: r.Stream, Done: func(err error) { d.done(w, &r, err) }})
	}
	d.mu.Unlock()
	if len(tell) > 0 { // by reading nothing of them
		others = append(others, shuffle.ReadRequest{Ranges: tell, Done: func(error) {}})
	}
	for _, b := range batches {
		b.conn.Read(b.reads)
	}
	return others
}

// find is the way by which r can be read directly, now or soon, and from where; nil: it cannot. What the owner has not heard of for long it may have given
// up; then it is asked. mu is held.
func (d *direct) find(r *shuffle.ReadRequest) (*way, []shuffle.Part) {
	if d.ended || len(r.Dst) == 0 {
		return nil, nil
	}
	var w *way
	var parts []shuffle.Part
	left := int64(len(r.Dst))
	for _, x := range r.Ranges {
		h := d.held[x.Handle]
		if h == nil || h.released || (w != nil && w != h.way) || x.Offset < 0 || x.Length < 0 || x.Offset > h.length-x.Length {
			return nil, nil // for the owner to say what is wrong, if anything is
		}
		if h.conn == nil {
			h.conn = h.way.conn
		}
		if h.conn != h.way.conn || time.Since(h.told) > handleIdle/2 {
			return nil, nil
		}
		w = h.way
		left -= x.Length
		parts = appendParts(parts, h.parts, x.Offset, x.Length)
	}
	if w == nil || left != 0 || (w.conn == nil && !w.waits()) || (w.conn != nil && !w.conn.Knows(r.Dst)) {
		return nil, nil
	}
	return w, parts
}

// appendParts adds bytes [off, off+n) of what parts are.
func appendParts(to, parts []shuffle.Part, off, n int64) []shuffle.Part {
	for _, p := range parts {
		if off >= p.Length {
			off -= p.Length
			continue
		}
		if n == 0 {
			break
		}
		some := min(n, p.Length-off)
		to = append(to, shuffle.Part{Addr: p.Addr + uint64(off), Key: p.Key, Length: some})
		off, n = 0, n-some
	}
	return to
}

// done ends a read. What failed is read over the streams.
func (d *direct) done(w *way, r *shuffle.ReadRequest, err error) {
	d.given(r, err == nil)
	if err != nil {
		d.mu.Lock()
		w.failed++
		d.mu.Unlock()
		d.of.stream([]shuffle.ReadRequest{*r})
		return
	}
	if r.By != nil {
		r.By(d.opts.Direct.Name())
	}
	r.Done(nil)
}

// given ends the use of r's blocks, and, where all of it was read, tells the owner of those that r was to give up.
func (d *direct) given(r *shuffle.ReadRequest, read bool) {
	d.mu.Lock()
	var gone []uint64
	for _, x := range r.Ranges {
		h := d.held[x.Handle]
		if h == nil {
			continue // given up over the streams meanwhile
		}
		if h.flying--; h.released && h.flying == 0 {
			delete(d.held, x.Handle)
			gone = append(gone, x.Handle)
		}
	}
	d.mu.Unlock()
	if read {
		gone = append(gone, d.release(r.Release)...)
	}
	d.of.conns[0].Release(gone)
}

// forget drops handles that the owner is told to give up.
func (d *direct) forget(handles []uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range handles {
		delete(d.held, n)
	}
}

// release gives handles up, and returns those that the owner can be told of now: the others are being read.
func (d *direct) release(handles []uint64) (now []uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range handles {
		h := d.held[n]
		if h != nil && h.flying > 0 {
			h.released = true
			continue
		}
		delete(d.held, n)
		now = append(now, n)
	}
	return now
}
