/**
 * The executor's side of the bridge to its node's daemon: one session of two Unix sockets, shared segments, leases, fetches,
 * map outputs and the daemon's questions (upcalls).
 *
 * <p>Everything of a session happens on one event loop; nothing there blocks. What a fetch delivers is told there too, so a
 * {@link weft.bridge.FetchSink} must be quick. The package refuses to know what a block is for, where else it could be had, and
 * how the daemon came to run.
 */
package weft.bridge;
