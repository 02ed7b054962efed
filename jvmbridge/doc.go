// Package jvmbridge is the daemon's side of the bridge (proto/bridge.proto): a server on a Unix socket with one session for each
// executor. A session takes the executor's map outputs and fetch requests, hands over what was fetched as leases of shared memory,
// and asks the executor for the blocks that only it has.
//
// It refuses to move blocks (Fetcher does), to open a path (the registry does) and to trust a client: what breaks the protocol ends
// that client's session, with one line in the log, and touches no other. Nothing of a session waits on a JVM that does not read, but that
// session.
package jvmbridge
