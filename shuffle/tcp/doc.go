// Package tcp is the transport over TCP: a few connections per peer and direction, the protocol of proto/peer.proto on each, block bytes by
// sendfile(2) from the page cache into the socket and from the socket straight into the memory that the reader leased. With TLS, which applications
// may require, it is another transport beside that, tcp+tls: they are read into pooled memory to be encrypted, and decrypted into what was leased.
//
// It refuses to map files, to hold a block's bytes anywhere else (only blocks small enough to come with an answer are copied once, and files' parts for TLS), to
// send bytes that nobody asked for, and to go on with a connection on which a frame did not parse.
package tcp
