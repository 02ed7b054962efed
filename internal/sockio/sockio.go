// Package sockio reads and writes non-blocking sockets, and reads what of a file is in memory, with few system calls' worth of cost.
//
// Go's scheduler is told of every system call that packages syscall and unix make. In a process that was idle the first one of them wakes the scheduler's
// monitor thread, which then looks every 20 µs for what blocks: a daemon that is asked for a small block now and then spent more on that than on the block. A call
// that never blocks, and that moves few bytes, needs no monitor: here it is made directly. One that moves many bytes, during which the
// scheduler should not be kept waiting, goes the usual way. As long as the monitor sleeps, nothing takes the processor from a goroutine that only computes, or makes
// direct calls alone; whatever does so for long makes announced calls, too (it maps memory, or reads a file), is as short as the checksum of one block, or
// allocates (who answers a peer's requests one after the other does), so that the garbage collector's next turn wakes the monitor.
//
// It refuses to wait: whoever calls does that, with syscall.RawConn.
package sockio

import (
	"errors"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// much is how many bytes are copied in some 20 µs: what moves more is announced to the scheduler. The answer to a request of a hundred small blocks moves less.
const much = 128 << 10

// Reader is an io.Reader of a connection: as its own Read, without the wake-up. Used by one goroutine at a time.
type Reader struct {
	conn syscall.RawConn
	step func(fd uintptr) bool // method read, made once
	p    []byte
	n    int
	err  error
}

// NewReader reads from conn, whose socket must not block (as all of package net's do).
func NewReader(conn syscall.RawConn) *Reader {
	r := &Reader{conn: conn}
	r.step = r.read
	return r
}

// Read implements io.Reader. It waits for at least one byte; errors of read(2) are *os.SyscallError, others those of package net.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	r.p = p
	err := r.conn.Read(r.step)
	r.p = nil
	switch {
	case err != nil:
		return 0, err
	case r.err != nil:
		return 0, os.NewSyscallError("read", r.err)
	case r.n == 0:
		return 0, io.EOF
	}
	return r.n, nil
}

func (r *Reader) read(fd uintptr) bool {
	for {
		if r.n, r.err = read(int(fd), r.p); !errors.Is(r.err, unix.EINTR) {
			return !errors.Is(r.err, unix.EAGAIN)
		}
	}
}

func read(fd int, p []byte) (int, error) {
	if !direct || len(p) > much {
		return syscall.Read(fd, p)
	}
	return callRead(fd, p)
}

// Write is write(2) of the beginning of p, which is not empty.
func Write(fd int, p []byte) (int, error) {
	if !direct || len(p) > much {
		return syscall.Write(fd, p)
	}
	return callWrite(fd, p)
}
