// Package lifeline tells when a process on another host has ended: it holds one TCP connection to a port that the process listens on, and
// says nothing over it. The kernel of the other host closes it with the process; a host that is lost is noticed by keep-alive probes.
//
// It refuses to connect again: who listens there next may be somebody else.
package lifeline
