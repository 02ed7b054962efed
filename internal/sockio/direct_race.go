//go:build race

package sockio

// direct calls are made. Not under the race detector, to which package syscall tells that who reads comes after who wrote.
const direct = false
