package shuffle

import (
	"hash/crc32"
	"sync"

	"weft/shuffle/crc32c"
)

// Checksum is the CRC32C of data. That of nothing is 0.
func Checksum(data []byte) uint32 { return crc32c.Update(0, data) }

// UpdateChecksum is the CRC32C of what sum is the checksum of, followed by data.
func UpdateChecksum(sum uint32, data []byte) uint32 { return crc32c.Update(sum, data) }

// rangeSums are the checksums of ranges that arrive one behind the other.
type rangeSums struct {
	all     []uint32 // by range
	lengths []int    // of the ranges
	at      int      // the range that is not complete
	end     int      // where it ends
	summed  int      // bytes
}

func newRangeSums(ranges []Range) rangeSums {
	s := rangeSums{all: make([]uint32, len(ranges)), lengths: make([]int, len(ranges))}
	for i, r := range ranges {
		s.lengths[i] = int(r.Length)
	}
	s.end = s.lengths[0]
	return s
}

// update takes in the bytes of mem, which begins with the first range, that were not there in the last call.
func (s *rangeSums) update(mem []byte) {
	for s.summed < len(mem) {
		to := min(len(mem), s.end)
		s.all[s.at] = UpdateChecksum(s.all[s.at], mem[s.summed:to])
		if s.summed = to; to == s.end && s.at+1 < len(s.all) {
			s.at++
			s.end += s.lengths[s.at]
		}
	}
}

// CombineChecksums is the CRC32C of two pieces, one behind the other, from their checksums and the length of the second, without their
// bytes. The length must not be negative.
//
// A checksum is the remainder of the piece, as a polynomial over GF(2), by the generator. Appending n bytes multiplies the first piece
// by x^(8n); the conditioning at both ends of CRC32C cancels out. So: shift the first sum by n zero bytes, add the second.
func CombineChecksums(first, second uint32, secondLength int64) uint32 {
	if secondLength <= int64(len(zeros)) { // the instruction is faster than a multiplication
		return ^UpdateChecksum(^first, zeros[:secondLength]) ^ second
	}
	shift := zeroBytes()
	for i := 0; secondLength > 0; i++ {
		if digit := secondLength & 0xff; digit != 0 {
			first = multiply(first, shift[i][digit])
		}
		secondLength >>= 8
	}
	return first ^ second
}

var zeros [1 << 10]byte

// The polynomials are written as CRC32C does: bit 31 is the coefficient of x^0.
const (
	polyOne  = 1 << 31       // 1
	polyByte = 1 << (31 - 8) // x^8: one zero byte
	lengths  = 8             // bytes of a length
)

// zeroBytes holds x^(8 * d * 256^i) at [i][d], so that a length takes one multiplication for each of its bytes.
var zeroBytes = sync.OnceValue(func() *[lengths][256]uint32 {
	var shift [lengths][256]uint32
	unit := uint32(polyByte)
	for i := range shift {
		shift[i][0] = polyOne
		for d := 1; d < len(shift[i]); d++ {
			shift[i][d] = multiply(shift[i][d-1], unit)
		}
		unit = multiply(shift[i][255], unit)
	}
	return &shift
})

// multiply is a*b modulo the generator.
func multiply(a, b uint32) uint32 {
	var product uint32
	for ; a != 0; a <<= 1 {
		product ^= b & -(a >> 31) // b times the coefficient of the next power in a
		b = b>>1 ^ crc32.Castagnoli&-(b&1)
	}
	return product
}
