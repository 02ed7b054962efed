package lifeline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// connectTimeout bounds connecting; keepAlive notices a lost host after about Idle + Count * Interval.
const connectTimeout = 10 * time.Second

// times are how long things take between two connections.
type times struct {
	pause    time.Duration // before another connection is made: a process that ends has closed its port by then
	patience time.Duration // for making it again where nobody says that the port is closed: as long as keepAlive waits
}

var usual = times{pause: time.Second, patience: 45 * time.Second}

var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 6}

// Watch connects to addr (host:port) and calls gone once, from a goroutine of its own, when the connection could not be made, or has ended
// and cannot be made again: at once where the port is closed, which wraps ECONNREFUSED. It is not called after stop, which may be called more
// than once, and from gone.
func Watch(addr string, gone func(error)) (stop func()) { return usual.watch(addr, gone) }

func (t times) watch(addr string, gone func(error)) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var over atomic.Bool
	go func() {
		defer cancel()
		err := t.hold(ctx, addr)
		if !over.Swap(true) {
			gone(err)
		}
	}()
	return func() {
		over.Store(true)
		cancel()
	}
}

// hold returns when there is no connection any more, or ctx has ended. Who closes one within pause is not asked for another. An error that
// may be the network's, or this host's own (a name that is not resolved, no descriptor left), does not end what was held before.
func (t times) hold(ctx context.Context, addr string) error {
	var ended error
	var since time.Time // there is none
	for {
		conn, err := (&net.Dialer{Timeout: connectTimeout, KeepAliveConfig: keepAlive}).DialContext(ctx, "tcp", addr)
		switch {
		case err == nil:
			began := time.Now()
			ended = await(ctx, conn, addr)
			since = time.Now()
			if since.Sub(began) < t.pause {
				return ended
			}
		case ended == nil || errors.Is(err, unix.ECONNREFUSED) || time.Since(since) > t.patience:
			return errors.Join(ended, err)
		}
		select {
		case <-time.After(t.pause):
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
