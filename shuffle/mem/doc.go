// Package mem is the transport to the own daemon: the blocks of a Source, copied into the reader's memory by pread, without a connection.
// It serves executors of one node that fetch from each other, and tests.
//
// It refuses to reach another daemon.
package mem
