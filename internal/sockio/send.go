package sockio

import "golang.org/x/sys/unix"

// gather is how many slices are sent directly; more go the usual way.
const gather = 8

// Send is sendmsg(2) of the beginning of bufs, without the signal for a connection that is closed.
func Send(fd int, bufs [][]byte, flags int) (int, error) {
	total := 0
	for _, b := range bufs {
		total += len(b)
	}
	if !direct || total > much || len(bufs) > gather {
		return unix.SendmsgBuffers(fd, bufs, nil, nil, flags|unix.MSG_NOSIGNAL)
	}
	return callSend(fd, bufs, flags|unix.MSG_NOSIGNAL)
}
