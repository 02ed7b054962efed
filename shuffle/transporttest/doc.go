// Package transporttest is what every transport has to pass (Run), a source of blocks to pass it with (Source), and a transport that
// breaks things on demand (Faulty), for tests of what is built on transports.
//
// It refuses to know any transport: the suite takes a function that makes a connection.
package transporttest
