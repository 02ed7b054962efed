// Package peertest tests the connections of shuffle/rdma between two hosts, and what breaks between them: the wire, the peer's process, the
// peer. It has tests alone; scripts/test-rdma runs them.
package peertest
