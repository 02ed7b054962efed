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

// connectTimeout bounds connecting; keepAlive notices a lost host after about Idle + Count * Interval. A process that ends has closed its
// port pause after its connections for sure.
const (
	connectTimeout = 10 * time.Second
	pause          = time.Second
)

var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 6}

// Watch connects to addr (host:port) and calls gone once, from a goroutine of its own, when the connection could not be made, or has ended
// and cannot be made again. It is not called after stop, which may be called more than once, and from gone.
func Watch(addr string, gone func(error)) (stop func()) { return watch(addr, pause, gone) }

func watch(addr string, pause time.Duration, gone func(error)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var over atomic.Bool
	go func() {
		defer cancel()
		err := hold(ctx, addr, pause)
		if !over.Swap(true) {
			gone(err)
		}
	}()
	return func() {
		over.Store(true)
		cancel()
	}
}

// hold returns when there is no connection any more, or ctx has ended. Who closes one within pause is not asked for another.
func hold(ctx context.Context, addr string, pause time.Duration) error {
	var ended error
	for {
		conn, err := (&net.Dialer{Timeout: connectTimeout, KeepAliveConfig: keepAlive}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return errors.Join(ended, err)
		}
		began := time.Now()
		if ended = await(ctx, conn, addr); time.Since(began) < pause {
			return ended
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ended
		}
	}
}

// await returns when the connection has ended, or ctx.
func await(ctx context.Context, conn net.Conn, addr string) error {
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer conn.Close()
	if _, err := io.Copy(io.Discard, conn); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("the connection to %s broke: %w", addr, err)
	}
	return fmt.Errorf("%s closed the connection", addr)
}
