// Package metrics declares every metric of the daemon, once, in the table of set.go: the code that counts, the page
// docs/metrics.md and the endpoint /metrics all come from it.
//
// It refuses to know what is counted: it imports nothing of weft, keeps no state beside the metrics themselves, and has no
// global registry, so that several daemons of one process count apart. Units are seconds and bytes.
package metrics

//go:generate go run weft/cmd/weft docs metrics --write ../../docs/metrics.md
