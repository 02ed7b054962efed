// Package rdma moves block bytes by one-sided RDMA READ: the reader's device takes them out of the owner's registered memory, and no
// processor of the owner has a part in it. This is the lower half of the transport: connections and the READs on them.
//
// It refuses to decide what is read, to know blocks, and to let go of memory that a device may still write to: a READ ends when its
// completion or its flush was polled, or when its queue pair is gone.
package rdma
