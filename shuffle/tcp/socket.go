package tcp

import (
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"weft/internal/sockio"
)

// tune sets what a connection between daemons needs: no delay of small frames (net's default), and an end when the peer's host is gone
// while nothing is sent (keepalive) or something is (TCP_USER_TIMEOUT).
func (w *wire) tune(timeout time.Duration) error {
	err := w.sock.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: timeout, Interval: max(timeout/4, time.Second), Count: 4})
	if err != nil {
		return fmt.Errorf("keepalive: %w", err)
	}
	if w.rc, err = w.sock.SyscallConn(); err != nil {
		return err
	}
	w.in = sockio.NewReader(w.rc)
	var opt error
	err = w.rc.Control(func(fd uintptr) {
		opt = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(timeout.Milliseconds()))
	})
	if err = errors.Join(err, opt); err != nil {
		return fmt.Errorf("TCP_USER_TIMEOUT: %w", err)
	}
	return nil
}
