package jvmbridge

import (
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// credentials asks the kernel who connected.
func credentials(conn *net.UnixConn) (*unix.Ucred, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	var cred *unix.Ucred
	var credErr error
	if err := raw.Control(func(fd uintptr) {
		cred, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); err != nil {
		return nil, err
	}
	if credErr != nil {
		return nil, fmt.Errorf("SO_PEERCRED: %w", credErr)
	}
	return cred, nil
}

// mayConnect: a daemon serves its own user, and one of root serves everybody; else it could not open the executor's files.
func mayConnect(daemon, client uint32) error {
	if daemon != 0 && daemon != client {
		return fmt.Errorf("this daemon serves user %d, not %d: use a daemon of the executor's own user, or one that runs as root", daemon, client)
	}
	return nil
}
