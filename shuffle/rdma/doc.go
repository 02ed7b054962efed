// Package rdma moves block bytes by one-sided RDMA READ: the reader's device takes them out of the owner's registered memory, and no
// processor of the owner has a part in it. Node is a daemon's device: it registers what executors and map outputs have in memory, a domain for each
// application, and is the shuffle.Direct of the connections between daemons. Below it are connections and the READs on them.
//
// It refuses to decide which blocks are read, to send messages, and to let go of memory that a device may still write to: a READ ends when its completion or its
// flush was polled, or when its queue pair is gone.
package rdma
