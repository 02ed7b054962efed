package tcp

import (
	"fmt"

	"google.golang.org/protobuf/encoding/protowire"

	"weft/shuffle/serve"
)

// The messages that carry blocks are read and written by hand, into memory that is used again: generated code would allocate
// several times for each. A test compares both. Numbers of fields as in proto/peer.proto.
const (
	fieldLocated = 2 // of Response
	fieldData    = 3
	fieldRead    = 3 // of Request
)

// located is the message Located.
type located struct {
	id      uint64
	lengths []uint64
	crcs    []uint32
	handles []uint64
	reasons []uint32
	errors  []string

	partCounts  []uint32
	partAddrs   []uint64
	partKeys    []uint32
	partLengths []uint64
	invitation  string
}

// data is the message Data.
type data struct {
	id     uint64
	reason uint32
	err    string
}

// readMsg is the message Read.
type readMsg struct {
	id      uint64
	handles []uint64
	offsets []uint64
	lengths []uint64
	release []uint64
}

func (m *located) append(b []byte) []byte {
	size := sizeUint(m.id) + sizePacked(m.lengths) + sizePacked(m.handles) + sizePacked(m.reasons) +
		sizePacked(m.partCounts) + sizePacked(m.partAddrs) + sizePacked(m.partKeys) + sizePacked(m.partLengths) + sizeString(m.invitation)
	if n := 4 * len(m.crcs); n > 0 {
		size += 1 + protowire.SizeBytes(n)
	}
	for _, e := range m.errors {
		size += 1 + protowire.SizeBytes(len(e))
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, fieldLocated, protowire.BytesType), uint64(size))
	b = appendUint(b, 1, m.id)
	b = appendPacked(b, 2, m.lengths)
	if len(m.crcs) > 0 {
		b = protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.BytesType), uint64(4*len(m.crcs)))
		for _, c := range m.crcs {
			b = protowire.AppendFixed32(b, c)
		}
	}
	b = appendPacked(b, 4, m.handles)
	b = appendPacked(b, 5, m.reasons)
	for _, e := range m.errors {
		b = protowire.AppendString(protowire.AppendTag(b, 6, protowire.BytesType), e)
	}
	b = appendPacked(b, 7, m.partCounts)
	b = appendPacked(b, 8, m.partAddrs)
	b = appendPacked(b, 9, m.partKeys)
	b = appendPacked(b, 10, m.partLengths)
	return appendString(b, 11, m.invitation)
}

func (m *located) parse(b []byte) error {
	*m = located{
		lengths: m.lengths[:0], crcs: m.crcs[:0], handles: m.handles[:0], reasons: m.reasons[:0], errors: m.errors[:0],
		partCounts: m.partCounts[:0], partAddrs: m.partAddrs[:0], partKeys: m.partKeys[:0], partLengths: m.partLengths[:0],
	}
	return fields(b, func(num protowire.Number, typ protowire.Type, b []byte) int {
		switch num {
		case 1:
			return parseUint(typ, b, &m.id)
		case 2:
			return parsePacked(typ, b, &m.lengths)
		case 3:
			return parseFixed(typ, b, &m.crcs)
		case 4:
			return parsePacked(typ, b, &m.handles)
		case 5:
			return parsePacked(typ, b, &m.reasons)
		case 6:
			var s string
			n := parseString(typ, b, &s)
			m.errors = append(m.errors, s)
			return n
		case 7:
			return parsePacked(typ, b, &m.partCounts)
		case 8:
			return parsePacked(typ, b, &m.partAddrs)
		case 9:
			return parsePacked(typ, b, &m.partKeys)
		case 10:
			return parsePacked(typ, b, &m.partLengths)
		case 11:
			return parseString(typ, b, &m.invitation)
		}
		return skip
	})
}

func (m *data) append(b []byte) []byte {
	size := sizeUint(m.id) + sizeUint(uint64(m.reason)) + sizeString(m.err)
	b = protowire.AppendVarint(protowire.AppendTag(b, fieldData, protowire.BytesType), uint64(size))
	b = appendUint(b, 1, m.id)
	b = appendUint(b, 2, uint64(m.reason))
	return appendString(b, 3, m.err)
}

func (m *data) parse(b []byte) error {
	*m = data{}
	return fields(b, func(num protowire.Number, typ protowire.Type, b []byte) int {
		switch num {
		case 1:
			return parseUint(typ, b, &m.id)
		case 2:
			return parseUint(typ, b, &m.reason)
		case 3:
			return parseString(typ, b, &m.err)
		}
		return skip
	})
}

func (m *readMsg) append(b []byte) []byte {
	size := sizeUint(m.id) + sizePacked(m.handles) + sizePacked(m.offsets) + sizePacked(m.lengths) + sizePacked(m.release)
	b = protowire.AppendVarint(protowire.AppendTag(b, fieldRead, protowire.BytesType), uint64(size))
	b = appendUint(b, 1, m.id)
	b = appendPacked(b, 2, m.handles)
	b = appendPacked(b, 3, m.offsets)
	b = appendPacked(b, 4, m.lengths)
	return appendPacked(b, 5, m.release)
}

func (m *readMsg) parse(b []byte) error {
	*m = readMsg{handles: m.handles[:0], offsets: m.offsets[:0], lengths: m.lengths[:0], release: m.release[:0]}
	err := fields(b, func(num protowire.Number, typ protowire.Type, b []byte) int {
		switch num {
		case 1:
			return parseUint(typ, b, &m.id)
		case 2:
			return parsePacked(typ, b, &m.handles)
		case 3:
			return parsePacked(typ, b, &m.offsets)
		case 4:
			return parsePacked(typ, b, &m.lengths)
		case 5:
			return parsePacked(typ, b, &m.release)
		}
		return skip
	})
	if err == nil && max(len(m.handles), len(m.release)) > serve.MaxHandles {
		err = fmt.Errorf("a read of %d ranges that gives up %d handles; at most %d can be open", len(m.handles), len(m.release), serve.MaxHandles)
	}
	if err == nil && (len(m.handles) != len(m.offsets) || len(m.handles) != len(m.lengths)) {
		err = fmt.Errorf("read of %d handles, %d offsets and %d lengths", len(m.handles), len(m.offsets), len(m.lengths))
	}
	return err
}
