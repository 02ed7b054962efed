package verbs

// This file is unsafe in that it gives addresses to C. It is safe because the memory is no memory of Go's heap (RegMR's contract), or is only
// used by C during the call (pointer), and the slices come from C's own allocation, whose length is right beside it.

// #include "shim.h"
// #include <stdlib.h>
import "C"

import "unsafe"

// pointer is the address of the first byte; nil without any.
func pointer(mem []byte) unsafe.Pointer { return unsafe.Pointer(unsafe.SliceData(mem)) }

// allocate is zeroed memory of C's heap for n values; it is given back by release.
func allocate[T any](n int) []T {
	var one T
	mem := C.calloc(C.size_t(n), C.size_t(unsafe.Sizeof(one)))
	if mem == nil {
		panic("verbs: out of memory")
	}
	return unsafe.Slice((*T)(mem), n)
}

func release[T any](mem []T) { C.free(unsafe.Pointer(unsafe.SliceData(mem))) }

// index is the place of p among the values of mem.
func index[T any](mem []T, p *T) int {
	return int((uintptr(unsafe.Pointer(p)) - uintptr(unsafe.Pointer(unsafe.SliceData(mem)))) / unsafe.Sizeof(*p))
}

// bytesOf is the memory of a C struct that Go holds.
func bytesOf[T any](p *T) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(p)), unsafe.Sizeof(*p)) }

// slice is the n values from p on, which C holds.
func slice[T any](p *T, n int) []T { return unsafe.Slice(p, n) }

// cString is s as C wants it, for the time of a call.
func cString(s string) []C.char {
	b := append([]byte(s), 0)
	return unsafe.Slice((*C.char)(unsafe.Pointer(&b[0])), len(b))
}
