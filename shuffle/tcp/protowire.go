package tcp

import (
	"google.golang.org/protobuf/encoding/protowire"
)

// skip is what a field function returns for a field that it does not know.
const skip = 1 << 30

// fields calls f for each field of a message, with its value and what is behind it; f returns the length of the value, negative where it
// does not parse.
func fields(b []byte, f func(protowire.Number, protowire.Type, []byte) int) error {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
		if n = f(num, typ, b); n == skip {
			n = protowire.ConsumeFieldValue(num, typ, b)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		b = b[n:]
	}
	return nil
}

// only is the one field of a Request or a Response: all of them have one oneof. Where a sender repeats fields, the last one counts.
func only(b []byte) (num protowire.Number, value []byte, err error) {
	err = fields(b, func(n protowire.Number, typ protowire.Type, b []byte) int {
		if typ != protowire.BytesType {
			return skip
		}
		v, size := protowire.ConsumeBytes(b)
		if size >= 0 {
			num, value = n, v
		}
		return size
	})
	return num, value, err
}

type number interface{ ~uint32 | ~uint64 }

func parseUint[T number](typ protowire.Type, b []byte, to *T) int {
	if typ != protowire.VarintType {
		return skip
	}
	v, n := protowire.ConsumeVarint(b)
	*to = T(v)
	return n
}

func parseString(typ protowire.Type, b []byte, to *string) int {
	if typ != protowire.BytesType {
		return skip
	}
	v, n := protowire.ConsumeBytes(b)
	*to = string(v)
	return n
}

// parsePacked appends the numbers of a repeated field, packed or not.
func parsePacked[T number](typ protowire.Type, b []byte, to *[]T) int {
	if typ == protowire.VarintType {
		v, n := protowire.ConsumeVarint(b)
		*to = append(*to, T(v))
		return n
	}
	if typ != protowire.BytesType {
		return skip
	}
	list, size := protowire.ConsumeBytes(b)
	for len(list) > 0 {
		v, n := protowire.ConsumeVarint(list)
		if n < 0 {
			return n
		}
		*to = append(*to, T(v))
		list = list[n:]
	}
	return size
}

// parseFixed is parsePacked for fixed32.
func parseFixed(typ protowire.Type, b []byte, to *[]uint32) int {
	if typ == protowire.Fixed32Type {
		v, n := protowire.ConsumeFixed32(b)
		*to = append(*to, v)
		return n
	}
	if typ != protowire.BytesType {
		return skip
	}
	list, size := protowire.ConsumeBytes(b)
	for len(list) > 0 {
		v, n := protowire.ConsumeFixed32(list)
		if n < 0 {
			return n
		}
		*to = append(*to, v)
		list = list[n:]
	}
	return size
}

func sizeUint(v uint64) int {
	if v == 0 {
		return 0
	}
	return 1 + protowire.SizeVarint(v)
}

func appendUint(b []byte, num protowire.Number, v uint64) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, num, protowire.VarintType), v)
}

func sizeString(s string) int {
	if s == "" {
		return 0
	}
	return 1 + protowire.SizeBytes(len(s))
}

func appendString(b []byte, num protowire.Number, s string) []byte {
	if s == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, num, protowire.BytesType), s)
}

func packedLen[T number](list []T) int {
	n := 0
	for _, v := range list {
		n += protowire.SizeVarint(uint64(v))
	}
	return n
}

func sizePacked[T number](list []T) int {
	if len(list) == 0 {
		return 0
	}
	return 1 + protowire.SizeBytes(packedLen(list))
}

func appendPacked[T number](b []byte, num protowire.Number, list []T) []byte {
	if len(list) == 0 {
		return b
	}
	b = protowire.AppendVarint(protowire.AppendTag(b, num, protowire.BytesType), uint64(packedLen(list)))
	for _, v := range list {
		b = protowire.AppendVarint(b, uint64(v))
	}
	return b
}
