// Package raw is the limit that block fetching over TCP is measured against: one side sends a file by sendfile(2), the other
// reads it into a shared mapping. No requests, no frames, and no checksums, or none but those of what arrives. It refuses to be anything but a yardstick.
package raw

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"weft/shuffle/crc32c"
)

// Serve sends the first blockBytes of file to every connection, again and again, until the peer hangs up. It ends all connections and
// returns when ctx ends; file is not used any more then.
func Serve(ctx context.Context, l net.Listener, file *os.File, blockBytes int) error {
	context.AfterFunc(ctx, func() { _ = l.Close() })
	var sends sync.WaitGroup
	defer sends.Wait()
	for {
		conn, err := l.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("accept: %w", err)
		}
		stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
		sends.Go(func() {
			defer func() { _ = conn.Close() }()
			defer stop()
			for sendBlock(conn.(*net.TCPConn), file, blockBytes) == nil { //nolint:forcetypeassert // a TCP listener
			}
		})
	}
}

func sendBlock(conn *net.TCPConn, file *os.File, n int) error {
	rc, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var off int64
	var sendErr error
	err = rc.Write(func(fd uintptr) bool {
		for off < int64(n) {
			sent, err := unix.Sendfile(int(fd), int(file.Fd()), &off, n-int(off))
			switch {
			case errors.Is(err, unix.EAGAIN):
				return false
			case errors.Is(err, unix.EINTR):
			case err != nil:
				sendErr = err
				return true
			case sent == 0:
				sendErr = io.ErrUnexpectedEOF
				return true
			}
		}
		return true
	})
	return errors.Join(err, sendErr)
}

// Result is one measurement.
type Result struct {
	BlockBytes int
	Blocks     int64
	Elapsed    time.Duration
	Checksum   uint32 // of the last block, where it was computed
}

// step is how much is read before its checksum is computed, while the processor's cache has it.
const step = 256 << 10

// Read reads blocks of blockBytes into a shared mapping of arenaBytes, place after place, for about d; with each block's CRC32C, where check is set.
func Read(ctx context.Context, addr string, blockBytes, arenaBytes int, d time.Duration, check bool) (Result, error) {
	mem, err := unix.Mmap(-1, 0, arenaBytes, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_ANON)
	if err != nil {
		return Result{}, fmt.Errorf("map %d bytes: %w", arenaBytes, err)
	}
	defer func() { _ = unix.Munmap(mem) }()
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return Result{}, err
	}
	defer func() { _ = conn.Close() }()
	r := Result{BlockBytes: blockBytes}
	start := time.Now()
	for r.Elapsed < d {
		off := int(r.Blocks) % (arenaBytes / blockBytes) * blockBytes
		if err := r.block(conn, mem[off:off+blockBytes], check); err != nil {
			return r, fmt.Errorf("read: %w", err)
		}
		r.Blocks++
		r.Elapsed = time.Since(start)
	}
	return r, nil
}

func (r *Result) block(from io.Reader, to []byte, check bool) error {
	if !check {
		_, err := io.ReadFull(from, to)
		return err
	}
	r.Checksum = 0
	for len(to) > 0 {
		part := to[:min(len(to), step)]
		if _, err := io.ReadFull(from, part); err != nil {
			return err
		}
		r.Checksum = crc32c.Update(r.Checksum, part)
		to = to[len(part):]
	}
	return nil
}
