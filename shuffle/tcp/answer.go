package tcp

import (
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"weft/shuffle"
	"weft/shuffle/serve"
)

// lists are the slices of an answer, used again.
type lists struct {
	located []shuffle.Located
	parts   [][]shuffle.Part
	m       located
}

var listPool = sync.Pool{New: func() any { return new(lists) }}

// answer sends Located for found, which it takes ownership of, with at most room bytes of eager blocks. What is held open goes into the group's table.
func (c *server) answer(of *group, id uint64, found []shuffle.Found, eagerBlock, room int, want *exposure) error {
	l := listPool.Get().(*lists) //nolint:forcetypeassert // nothing else is put there
	defer listPool.Put(l)
	f := &frame{}
	var eager []byte
	if n := serve.EagerBytes(found, eagerBlock, room); n > 0 {
		f.body = getBuffer(n)
		eager = f.body.b[:n]
	}
	var used int
	var hold func(int)
	if want != nil {
		l.parts = append(l.parts[:0], make([][]shuffle.Part, len(found))...)
		hold = func(i int) { l.parts[i] = c.expose(want.app, &found[i]) }
	}
	l.located, used = of.Answer(c.opts.Quotas.Handles.Of(of.key.app.ID), found, eagerBlock, eager, l.located[:0], hold)
	if f.body != nil {
		f.body.b = eager[:used]
	}
	l.m.fill(id, l.located)
	if want != nil {
		l.m.expose(l.located, l.parts)
		l.m.invitation = c.invite(want, &l.m)
		clear(l.parts)
	}
	clear(l.located)
	f.head = getBuffer(64 + 24*len(found))
	f.head.b = l.m.append(newFrame(f.head.b))
	clear(l.m.errors)
	if err := seal(f.head.b, used); err != nil {
		f.free()
		return err
	}
	c.out.send(f, true)
	return nil
}

// fill makes m the answer. Checksums are left out unless every block that has bytes has one; reasons are, when no block failed.
func (m *located) fill(id uint64, answer []shuffle.Located) {
	m.id = id
	m.lengths, m.crcs, m.handles, m.reasons, m.errors = m.lengths[:0], m.crcs[:0], m.handles[:0], m.reasons[:0], m.errors[:0]
	m.partCounts, m.partAddrs, m.partKeys, m.partLengths = m.partCounts[:0], m.partAddrs[:0], m.partKeys[:0], m.partLengths[:0]
	m.invitation = ""
	failed, checked := false, true
	for i := range answer {
		l := &answer[i]
		m.lengths = append(m.lengths, uint64(l.Length))
		m.crcs = append(m.crcs, l.CRC)
		m.handles = append(m.handles, l.Handle)
		failed = failed || l.Err != nil
		checked = checked && (l.Checked || l.Err != nil || l.Length == 0)
	}
	if !checked {
		m.crcs = m.crcs[:0]
	}
	if !failed {
		return
	}
	var told *shuffle.BlockError // a text is sent once for the blocks that share it: an answer of many failures must fit into a frame
	for i := range answer {
		reason, text := shuffle.Reason(0), ""
		if err := answer[i].Err; err != nil {
			reason = max(err.Reason, shuffle.ReasonInternal)
			if err != told {
				text = clip(err.Detail)
			}
			told = err
		}
		m.reasons, m.errors = append(m.reasons, uint32(reason)), append(m.errors, text)
	}
}

// clip makes an error's text fit for a message.
func clip(s string) string {
	const most = 512
	if len(s) > most {
		s = s[:most] + "..."
	}
	return strings.ToValidUTF8(s, "?")
}

// serveRead answers a Read: with the ranges where all of them can be served, else with the reason why not.
func (c *server) serveRead(m *readMsg) {
	f := &frame{of: &c.opened, sealed: c.wire.tls != nil, release: append([]uint64(nil), m.release...)}
	d := data{id: m.id}
	n, err := f.find(m)
	if err != nil {
		be := shuffle.ToBlockError(err)
		d.reason, d.err, n = uint32(be.Reason), clip(be.Detail), 0
		for _, p := range f.pieces {
			p.table.Done(p.block, 0)
		}
		f.pieces = nil
	}
	f.head = getBuffer(64 + len(d.err))
	f.head.b = d.append(newFrame(f.head.b))
	if err := seal(f.head.b, int(n)); err != nil {
		f.free()
		c.end(err)
		return
	}
	c.out.send(f, false)
}

// find finds the blocks of a Read and looks whether their files have the bytes that the frame's header will promise.
func (f *frame) find(m *readMsg) (total int64, err error) {
	f.pieces = make([]piece, 0, len(m.handles))
	var file *os.File
	var size int64
	for i, h := range m.handles {
		r := shuffle.Range{Handle: h, Offset: int64(m.offsets[i]), Length: int64(m.lengths[i])}
		table := f.of.table(h)
		if table == nil {
			return 0, shuffle.Errorf(shuffle.ReasonPeerRefused, "handle %d is of no application that was opened on this connection", h)
		}
		b, err := table.Acquire(r)
		if err != nil {
			return 0, err
		}
		p := piece{table: table, block: b, off: r.Offset, n: r.Length}
		p.lies(func() bool { return f.sealed || slices.Contains(m.release, h) })
		f.pieces = append(f.pieces, p)
		if total += r.Length; total > maxPayload {
			return 0, shuffle.Errorf(shuffle.ReasonPeerRefused, "a read of more than %d bytes", maxPayload)
		}
		if b.File == nil {
			continue
		}
		if b.File != file {
			var stat unix.Stat_t
			if err := unix.Fstat(int(b.File.Fd()), &stat); err != nil {
				return 0, shuffle.Errorf(shuffle.ReasonBadMapOutput, "stat %s: %v", b.File.Name(), err)
			}
			file, size = b.File, stat.Size
		}
		if end := b.Offset + r.Offset + r.Length; end > size {
			return 0, shuffle.Errorf(shuffle.ReasonBadMapOutput, "%s has %d bytes; a block of it ends at %d", b.File.Name(), size, end)
		}
	}
	return total, nil
}
