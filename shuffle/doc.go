// Package shuffle is the core of weft: which blocks an executor's daemon can serve, and how a reader gets them.
//
// The serving side is the Registry (applications, executors and their map outputs) and the Service on it, which answers a Transport's
// requests with file ranges or memory. The reading side is the Fetcher on Peers. A Transport moves the bytes between
// the two and knows neither.
//
// The package refuses to map a map output's files into memory (a load beyond the end of a truncated file is a SIGBUS, which would end
// the daemon of all executors of a node), to open a path that does not lie beneath a directory its executor registered, to write to or
// create any file, and to keep the bytes of a block that its owner holds in memory beyond the answer they were asked for.
package shuffle
