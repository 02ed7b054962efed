package sockio

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// gather is how many slices are sent directly; more go the usual way.
const gather = 8

// Send is sendmsg(2) of the beginning of bufs, without the signal for a connection that is closed.
func Send(fd int, bufs [][]byte, flags int) (int, error) {
	var iovs [gather]unix.Iovec
	total := 0
	for _, b := range bufs {
		total += len(b)
	}
	if !direct || total > much || len(bufs) > gather {
		return unix.SendmsgBuffers(fd, bufs, nil, nil, flags|unix.MSG_NOSIGNAL)
	}
	var msg unix.Msghdr
	for i, b := range bufs {
		if len(b) > 0 {
			iovs[i].Base = &b[0]
		}
		iovs[i].SetLen(len(b))
	}
	msg.Iov = &iovs[0]
	msg.SetIovlen(len(bufs))
	return call(unix.SYS_SENDMSG, fd, unsafe.Pointer(&msg), flags|unix.MSG_NOSIGNAL)
}
