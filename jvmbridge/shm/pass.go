package shm

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// SendFD passes a descriptor over the socket, with one byte of data. It blocks while the socket is full. The descriptor stays the
// caller's, who may close it afterwards.
func SendFD(conn *net.UnixConn, fd int) error {
	if _, _, err := conn.WriteMsgUnix([]byte{0}, unix.UnixRights(fd), nil); err != nil {
		return fmt.Errorf("passing a segment: %w", err)
	}
	return nil
}

// ReceiveFD takes one descriptor that SendFD passed. It belongs to the caller, and is closed on exec. io.EOF as for any read.
func ReceiveFD(conn *net.UnixConn) (int, error) {
	data := make([]byte, 1)
	control := make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := conn.ReadMsgUnix(data, control)
	if err != nil {
		return -1, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:oobn])
	if err != nil {
		return -1, fmt.Errorf("control message: %w", err)
	}
	if n != 1 || len(messages) != 1 {
		return -1, errors.New("a byte without a descriptor")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return -1, fmt.Errorf("%d descriptors instead of one: %w", len(fds), err)
	}
	return fds[0], nil
}
