// Package serve is what the owner's side of every transport has in common: which blocks of an answer are sent eagerly, and the
// handles of a reader, under which the other blocks are held open until they were read.
//
// It refuses to move bytes to a peer, to know about frames or sockets, and to hold a block longer than its handle lives.
package serve
