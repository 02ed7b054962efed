// Package invariants holds the assertions that are compiled in under the build tag `invariants`, which all tests use and
// no release does. It refuses to be error handling: what outside input can cause is an error, not an assertion.
package invariants

import "fmt"

// Poison is what freed memory is filled with under the tag.
const Poison = 0xdb

// Check panics under the tag when ok is false.
func Check(ok bool, format string, args ...any) {
	if Enabled && !ok {
		panic("invariant violated: " + fmt.Sprintf(format, args...))
	}
}

// Fill poisons mem under the tag.
func Fill(mem []byte) {
	if !Enabled || len(mem) == 0 {
		return
	}
	mem[0] = Poison
	for n := 1; n < len(mem); n *= 2 { // by copies: a loop over bytes is slow under the race detector
		copy(mem[n:], mem[:n])
	}
}
