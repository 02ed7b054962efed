package lifeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// connectTimeout bounds connecting; keepAlive notices a lost host after about Idle + Count * Interval.
const connectTimeout = 10 * time.Second

var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 6}

// Watch connects to addr (host:port) and calls gone once, from a goroutine of its own, when the connection has ended or could not be made.
// It is not called after stop, which may be called more than once, and from gone.
func Watch(addr string, gone func(error)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var over atomic.Bool
	go func() {
		defer cancel()
		err := hold(ctx, addr)
		if !over.Swap(true) {
			gone(err)
		}
	}()
	return func() {
		over.Store(true)
		cancel()
	}
}

// hold returns when the connection has ended, or ctx.
func hold(ctx context.Context, addr string) error {
	dialer := net.Dialer{Timeout: connectTimeout, KeepAliveConfig: keepAlive}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer conn.Close()
	if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("the connection to %s broke: %w", addr, err)
	}
	return fmt.Errorf("%s closed the connection", addr)
}
