// Package crc32c computes CRC32C (RFC 3720) at the speed at which a processor's cache gives bytes: by folding with carry-less multiplications of 512 bits where
// the processor has them (VPCLMULQDQ, since Ice Lake and Zen 4), else by the standard library, which has one instruction for 8 bytes.
//
// It refuses to know what the bytes are.
package crc32c

import "hash/crc32"

var table = crc32.MakeTable(crc32.Castagnoli)

// Update is the CRC32C of what sum is the checksum of, followed by data. The checksum of nothing is 0.
func Update(sum uint32, data []byte) uint32 {
	if len(data) >= worthFolding && canFold {
		sum, data = foldBlocks(sum, data)
	}
	return crc32.Update(sum, table, data)
}

const (
	block        = 256 // bytes that are folded at a time
	worthFolding = 32 * block
)

// foldBlocks takes in the whole blocks at the beginning of data and returns what is left.
//
// As a polynomial over GF(2) the blocks are replaced by a single one that leaves the same remainder: again and again the first block times x^(8*block), which a
// multiplication by a constant of 32 bits gives, is added to the second. The checksum so far goes, as the state of the division, into the first bytes. What is left
// is divided by the standard library, from state 0.
func foldBlocks(sum uint32, data []byte) (uint32, []byte) {
	n := len(data) &^ (block - 1)
	var last [block]byte
	fold(&last, &data[0], n, ^sum, &distance)
	return crc32.Update(^uint32(0), table, last[:]), data[n:]
}

// distance are x^(8*block+32) and x^(8*block-32) modulo the generator: what the lower and the upper half of 128 bits are multiplied by to be moved by one block.
var distance = [2]uint64{power(8*block + 32), power(8*block - 32)}

// power is x^n modulo the generator, written as a factor of a product of two reflected polynomials: with one bit less than the 33 that it stands in, as the product of
// 64 by 64 bits has only 127.
func power(n int) uint64 {
	p := uint32(1 << 31) // x^0: the highest bit
	for range n {
		p = p>>1 ^ crc32.Castagnoli&-(p&1)
	}
	return uint64(p) << 1
}
