//go:build !amd64

package crc32c

const canFold = false

func fold(*[block]byte, *byte, int, uint32, *[2]uint64) {
	panic("crc32c: folding on a processor that cannot")
}
