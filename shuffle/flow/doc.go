// Package flow decides which of the pieces that wait for one connection begins next: within the credits of its send queue and a window of
// bytes, the streams by turns, so that a short one does not wait for the end of a long one.
//
// The turns are deficit round robin. Between the first piece of a stream being added, if it is no longer than Quantum, and its beginning, each other stream begins
// less than Quantum and one piece of its own, and the work for one piece does not grow with the number of streams. Pieces of one stream begin in order.
//
// It refuses to know what it moves, to cut it, to read a clock, to lock, and to call anybody.
package flow
