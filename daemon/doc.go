// Package daemon puts the parts of a node's daemon together: the socket directory and its lock, the sessions of executors, the registry, the
// fetcher, the transports, and the admin socket. It only composes: it refuses to decide anything about blocks, memory or Spark itself.
package daemon
