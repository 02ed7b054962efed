package shuffle

import (
	"io"

	"golang.org/x/sys/unix"
)

// descriptor is an open file and nothing else: no name, no finalizer.
type descriptor int

// ReadAt fills p by pread(2), or tells by io.EOF that the file ends before.
func (d descriptor) ReadAt(p []byte, off int64) (done int, err error) {
	for done < len(p) {
		n, err := unix.Pread(int(d), p[done:], off+int64(done))
		switch {
		case err == unix.EINTR:
		case err != nil:
			return done, err
		case n == 0:
			return done, io.EOF
		default:
			done += n
		}
	}
	return done, nil
}

// Close closes it. The number may mean another file from then on.
func (d descriptor) Close() error { return unix.Close(int(d)) }
