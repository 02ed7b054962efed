// Package lifeline tells when a process on another host has ended: it holds one TCP connection to a port that the process listens on, and
// says nothing over it. The kernel of the other host closes it with the process; a host that is lost is noticed by keep-alive probes.
//
// A connection that breaks is made again, since the network may be to blame. Where the process has ended its port is closed, and says so. It
// refuses to find out who listens: somebody else who has got that port since is taken for the process until he ends.
package lifeline
