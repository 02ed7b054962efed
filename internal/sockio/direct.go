//go:build !race

package sockio

// direct: the race detector is not told of a direct call, so that it would miss that what was written before is read after.
const direct = true
