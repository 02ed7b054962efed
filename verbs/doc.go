// Package verbs is libibverbs and librdmacm as Go types: devices, protection domains, memory regions, queues, and connections by
// the RDMA connection manager. It keeps the libraries' words without their prefix; the man pages (ibv_reg_mr(3), rdma_cm(7), ...) say
// what they mean. It is the only package with cgo.
//
// It refuses to have policy: no goroutine, no time-out that the caller did not give, no retries but after EINTR, and nothing of Spark. It
// refuses to hide an error: a call's is an *Error with its errno, a work request's a *WCError with its status.
//
// The libraries are opened at run time, by Load: a program that contains this package starts where they are missing, and is told so.
//
// Each handle has one owner, who closes it. Close of a handle on which others depend fails with ErrInUse and leaves it open; Close a
// second time does nothing. A handle must not be used while it is being closed. With the build tag `invariants` handles that stay open
// are reported with the stack that opened them.
package verbs
