package crc32c

import "golang.org/x/sys/cpu"

var canFold = cpu.X86.HasAVX512F && cpu.X86.HasAVX512VPCLMULQDQ

// fold replaces n bytes at data, a positive multiple of block, by one block, last. state is added to the first 4 of them.
//
//go:noescape
func fold(last *[block]byte, data *byte, n int, state uint32, distance *[2]uint64)
